// Enough of CUDA for g++ to compile a kernel for the CPU. No header is included: that keeps
// compiling short, and what NVRTC lacks (INFINITY, std) is not there. The blocks of a launch run one
// after the other; the threads of a block too, each as far as the next point where it has to wait
// for others (cuda_on_cpu.cpp).

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
#define __constant__ static
#define __shared__ static

typedef unsigned long size_t;
struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
extern "C" {
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
// The 32 threads of a warp, or all of a block, meet here. Of a warp each says a number, and hears
// that of thread `from` (32 numbers are kept; the one of a thread that is not there is all ones).
unsigned long long cuda_meet_warp(unsigned mask, unsigned long long said, int from);
int cuda_meet_block(int said, int how);
}
static const int warpSize = 32;

inline void __syncthreads() { cuda_meet_block(0, 0); }
inline int __syncthreads_or(int x) { return cuda_meet_block(x, 1); }
inline int __syncthreads_and(int x) { return cuda_meet_block(x, 2); }
inline int __syncthreads_count(int x) { return cuda_meet_block(x, 3); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline int cuda_lane() {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}
inline void __syncwarp(unsigned mask = 0xffffffffu) { cuda_meet_warp(mask, 0, cuda_lane()); }

template <typename T> T cuda_exchange(unsigned mask, T x, int from) {
    static_assert(sizeof(T) <= 8, "a shuffle takes up to 8 bytes");
    unsigned long long said = 0, heard;
    __builtin_memcpy(&said, &x, sizeof(T));
    heard = cuda_meet_warp(mask, said, from);
    __builtin_memcpy(&x, &heard, sizeof(T));
    return x;
}
template <typename T> T __shfl_sync(unsigned mask, T x, int from, int width = 32) {
    return cuda_exchange(mask, x, cuda_lane() / width * width + (from & (width - 1)));
}
template <typename T> T __shfl_xor_sync(unsigned mask, T x, int far, int width = 32) {
    int lane = cuda_lane(), from = lane ^ far;
    return cuda_exchange(mask, x, from / width > lane / width ? lane : from);
}
template <typename T> T __shfl_down_sync(unsigned mask, T x, unsigned far, int width = 32) {
    int lane = cuda_lane(), from = lane + far;
    return cuda_exchange(mask, x, from / width == lane / width ? from : lane);
}
template <typename T> T __shfl_up_sync(unsigned mask, T x, unsigned far, int width = 32) {
    int lane = cuda_lane(), from = lane - (int)far;
    return cuda_exchange(mask, x, from >= lane / width * width ? from : lane);
}
inline unsigned __ballot_sync(unsigned mask, int x) {
    unsigned all = 0;
    for (int i = 0; i < 32; i++)
        if (cuda_exchange(mask, x ? 1 : 0, i) == 1) all |= 1u << i;
    return all;
}
inline int __any_sync(unsigned mask, int x) { return __ballot_sync(mask, x) != 0; }
inline int __all_sync(unsigned mask, int x) { return __ballot_sync(mask, !x) == 0; }
inline unsigned __activemask() { return 0xffffffffu; }

// Nothing else runs at the same time, so that what is atomic on a GPU needs no care here.
#define CUDA_ATOMIC(T)                                                                             \
    inline T atomicAdd(T* at, T x) { T was = *at; *at = was + x; return was; }                     \
    inline T atomicExch(T* at, T x) { T was = *at; *at = x; return was; }
CUDA_ATOMIC(float) CUDA_ATOMIC(double) CUDA_ATOMIC(int) CUDA_ATOMIC(unsigned)
CUDA_ATOMIC(unsigned long long)
#define CUDA_ATOMIC_OF_INTEGERS(T)                                                                 \
    inline T atomicSub(T* at, T x) { T was = *at; *at = was - x; return was; }                     \
    inline T atomicMax(T* at, T x) { T was = *at; if (x > was) *at = x; return was; }              \
    inline T atomicMin(T* at, T x) { T was = *at; if (x < was) *at = x; return was; }              \
    inline T atomicAnd(T* at, T x) { T was = *at; *at = was & x; return was; }                     \
    inline T atomicOr(T* at, T x) { T was = *at; *at = was | x; return was; }                      \
    inline T atomicCAS(T* at, T seen, T x) { T was = *at; if (was == seen) *at = x; return was; }
CUDA_ATOMIC_OF_INTEGERS(int) CUDA_ATOMIC_OF_INTEGERS(unsigned)
CUDA_ATOMIC_OF_INTEGERS(unsigned long long)

template <typename T> T __ldg(const T* at) { return *at; }
template <typename T, typename U> T cuda_same_bits(U x) {
    T y;
    __builtin_memcpy(&y, &x, sizeof(y));
    return y;
}
inline float __int_as_float(int x) { return cuda_same_bits<float>(x); }
inline int __float_as_int(float x) { return cuda_same_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return cuda_same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return cuda_same_bits<unsigned>(x); }
inline double __longlong_as_double(long long x) { return cuda_same_bits<double>(x); }
inline long long __double_as_longlong(double x) { return cuda_same_bits<long long>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline float __fdividef(float x, float y) { return x / y; }
inline float __expf(float x) { return __builtin_expf(x); }
inline float __logf(float x) { return __builtin_logf(x); }
inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }

// C's mathematical functions, of float too under the same name.
#define CUDA_MATH_1(name)                                                                          \
    extern "C" double name(double); extern "C" float name##f(float);                               \
    inline float name(float x) { return __builtin_##name##f(x); }
#define CUDA_MATH_2(name)                                                                          \
    extern "C" double name(double, double); extern "C" float name##f(float, float);                \
    inline float name(float x, float y) { return __builtin_##name##f(x, y); }                      \
    inline double name(float x, double y) { return __builtin_##name(x, y); }                       \
    inline double name(double x, float y) { return __builtin_##name(x, y); }
CUDA_MATH_1(acos) CUDA_MATH_1(acosh) CUDA_MATH_1(asin) CUDA_MATH_1(asinh) CUDA_MATH_1(atan)
CUDA_MATH_1(atanh) CUDA_MATH_1(cbrt) CUDA_MATH_1(ceil) CUDA_MATH_1(cos) CUDA_MATH_1(cosh)
CUDA_MATH_1(erf) CUDA_MATH_1(erfc) CUDA_MATH_1(exp) CUDA_MATH_1(exp2) CUDA_MATH_1(expm1)
CUDA_MATH_1(fabs) CUDA_MATH_1(floor) CUDA_MATH_1(lgamma) CUDA_MATH_1(log) CUDA_MATH_1(log10)
CUDA_MATH_1(log1p) CUDA_MATH_1(log2) CUDA_MATH_1(nearbyint) CUDA_MATH_1(rint) CUDA_MATH_1(round)
CUDA_MATH_1(sin) CUDA_MATH_1(sinh) CUDA_MATH_1(sqrt) CUDA_MATH_1(tan) CUDA_MATH_1(tanh)
CUDA_MATH_1(tgamma) CUDA_MATH_1(trunc)
CUDA_MATH_2(atan2) CUDA_MATH_2(copysign) CUDA_MATH_2(fdim) CUDA_MATH_2(fmax) CUDA_MATH_2(fmin)
CUDA_MATH_2(fmod) CUDA_MATH_2(hypot) CUDA_MATH_2(nextafter) CUDA_MATH_2(pow)
inline float pow(float x, int n) { return __builtin_powf(x, n); }
inline double pow(double x, int n) { return __builtin_pow(x, n); }
extern "C" double fma(double, double, double);
extern "C" float fmaf(float, float, float);
inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double ldexp(double x, int n) { return __builtin_ldexp(x, n); }
inline float ldexp(float x, int n) { return __builtin_ldexpf(x, n); }
inline float ldexpf(float x, int n) { return __builtin_ldexpf(x, n); }
inline float scalbn(float x, int n) { return __builtin_scalbnf(x, n); }
inline double scalbn(double x, int n) { return __builtin_scalbn(x, n); }
inline float rsqrt(float x) { return 1 / __builtin_sqrtf(x); }
inline double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
inline float rsqrtf(float x) { return 1 / __builtin_sqrtf(x); }
inline float sinpi(float x) { return __builtin_sin(3.14159265358979323846 * x); }
inline double sinpi(double x) { return __builtin_sin(3.14159265358979323846 * x); }
inline float cospi(float x) { return __builtin_cos(3.14159265358979323846 * x); }
inline double cospi(double x) { return __builtin_cos(3.14159265358979323846 * x); }
inline void sincos(float x, float* s, float* c) { *s = sin(x); *c = cos(x); }
inline void sincos(double x, double* s, double* c) { *s = sin(x); *c = cos(x); }
inline float nanf(const char*) { return __builtin_nanf(""); }
inline double nan(const char*) { return __builtin_nan(""); }
template <typename T> bool isnan(T x) { return __builtin_isnan(x); }
template <typename T> bool isinf(T x) { return __builtin_isinf(x); }
template <typename T> bool isfinite(T x) { return __builtin_isfinite(x); }
template <typename T> bool signbit(T x) { return __builtin_signbit(x); }
inline float abs(float x) { return __builtin_fabsf(x); }
inline double abs(double x) { return __builtin_fabs(x); }
inline int abs(int x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline long long llrint(double x) { return __builtin_llrint(x); }
inline int __float2int_rn(float x) { return (int)__builtin_rintf(x); }
#define CUDA_MIN_MAX(T)                                                                            \
    inline T min(T a, T b) { return b < a ? b : a; }                                               \
    inline T max(T a, T b) { return a < b ? b : a; }
CUDA_MIN_MAX(int) CUDA_MIN_MAX(unsigned) CUDA_MIN_MAX(long long) CUDA_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fmin(a, b); }
inline float max(float a, float b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
