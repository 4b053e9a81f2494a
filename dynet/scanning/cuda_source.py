"""The source of a loop over time steps in CUDA, put together from the lines of its stages.

A stage is a device function. There is one kernel that goes through all stages of all time steps,
for some rows in each block; and a kernel for each stage, for all rows at one time step, of which
CUDA graphs are made.
"""

from typing import NamedTuple

from ..kernels.cuda import PRELUDE

# So many rows of a matrix product are one thread's, which reads each element of a column once.
TILE = 4

OWN_PRELUDE = rf"""
// Four numbers that one instruction reads.
template <typename T> struct alignas(16) Four {{ T of[4]; }};

// Element j of N rows of a @ b, by strides; a row of b, and of y, lies side by side, and so does
// one of a, if BESIDE.
template <int N, bool BESIDE, typename T> __device__ void product_of_rows(
    const T* a, int a_row, int a_step, const T* b, int b_row, T* y, int y_row, int j, int steps
) {{
    // In several parts, so that an addition need not wait for the one before it.
    T parts[N][4] = {{}};
    int k = 0;
    #pragma unroll 4
    for (; k + 4 <= steps; k += 4) {{
        T factors[4];
        #pragma unroll
        for (int m = 0; m < 4; m++) factors[m] = b[(k + m) * b_row + j];
        #pragma unroll
        for (int n = 0; n < N; n++) {{
            Four<T> x;
            if (BESIDE) {{
                x = *(const Four<T>*)(a + n * a_row + k);
            }} else {{
                #pragma unroll
                for (int m = 0; m < 4; m++) x.of[m] = a[n * a_row + (k + m) * a_step];
            }}
            #pragma unroll
            for (int m = 0; m < 4; m++) parts[n][m] += x.of[m] * factors[m];
        }}
    }}
    #pragma unroll 1
    for (; k < steps; k++)
        #pragma unroll
        for (int n = 0; n < N; n++) parts[n][0] += a[n * a_row + k * a_step] * b[k * b_row + j];
    #pragma unroll
    for (int n = 0; n < N; n++)
        y[n * y_row + j] = (parts[n][0] + parts[n][1]) + (parts[n][2] + parts[n][3]);
}}

template <bool BESIDE, typename T> __device__ void product_of_tile(
    const T* a, int a_row, int a_step, const T* b, int b_row, T* y, int y_row, int rows, int j,
    int steps
) {{
    if (rows >= {TILE})
        product_of_rows<{TILE}, BESIDE>(a, a_row, a_step, b, b_row, y, y_row, j, steps);
    else
        for (int i = 0; i < rows; i++)
            product_of_rows<1, BESIDE>(
                a + i * a_row, a_row, a_step, b, b_row, y + i * y_row, y_row, j, steps
            );
}}

// The columns are taken so many, `width`, at a time: for these all tiles of rows, by threads that
// are neighbours and read the same rows of b.
template <typename T> __device__ void product(
    const T* a, int a_row, int a_step, const T* b, int b_row, T* y, int y_row,
    int rows, int columns, int steps, int width, int item
) {{
    int tiles = (rows + {TILE - 1}) / {TILE}, i = item / width % tiles * {TILE};
    int j = item / width / tiles * width + item % width;
    if (j >= columns) return;
    a += i * a_row;
    y += i * y_row;
    if (a_step == 1 && a_row % 4 == 0 && (unsigned long long)a % 16 == 0)
        product_of_tile<true>(a, a_row, a_step, b, b_row, y, y_row, rows - i, j, steps);
    else
        product_of_tile<false>(a, a_row, a_step, b, b_row, y, y_row, rows - i, j, steps);
}}

// As NumPy has them: the sign of the divisor.
template <typename T> __device__ T remainder_of(T x, T y) {{
    T r = fmod(x, y);
    return r != T(0) && (r < T(0)) != (y < T(0)) ? r + y : r;
}}

template <typename T> __device__ T floor_divided(T x, T y) {{
    if (y == T(0)) return x / y;
    return rint((x - remainder_of(x, y)) / y);
}}
"""


# A block of threads has at most so many.
MOST_THREADS = 512

# What a loop is given besides its arrays; ``scratch`` is for what is local, where a whole GPU
# works at a phase.
FIELDS = (
    ("long long", "t"),
    ("long long", "total"),
    ("unsigned long long", "key"),
    ("unsigned long long", "position"),
    ("const double*", "numbers"),
    ("char*", "scratch"),
)

# What each phase is given: some threads that work at some rows, at one time step.
SHARED = (
    "const Given& g, const Local& l, long long t, int first, int rows, int thread, int threads, "
    "int piece"
)


class Room(NamedTuple):
    """A local array: ``fixed`` bytes, or so many for each row."""

    name: str
    c_type: str
    per_row: int
    fixed: int


def rounded(size: int) -> int:
    """So many bytes, up to where the next array may begin."""
    return -(-size // 16) * 16


def source_of(
    arrays: list, rooms: list, weights: list, twins: list, stages: list, late: bool
) -> str:
    """The whole source.

    Args:
        arrays: of each array from outside its type in C and its name.
        rooms (list of Room): the local arrays.
        weights: of each matrix that is multiplied by, which is an array from outside, its type, its
            name and how many elements it has.
        twins: the sources of the kernels' twins that the stages use.
        stages: of each the lines of its phases; the first and the last one are what is done before
            the first step and after the last one.
        late: whether the loop goes backwards.
    """
    fields = [*FIELDS, *[(f"{c_type}*", name) for c_type, name in arrays]]
    lines = [PRELUDE, OWN_PRELUDE, *twins, "}"]
    lines += ["using namespace dynet;", "", "struct Given {"]
    lines += [f"    {c_type} {name};" for c_type, name in fields] + ["};", "", "struct Local {"]
    lines += [f"    {r.c_type}* {r.name};" for r in rooms]
    lines += [f"    {c_type}* {name};" for c_type, name, _ in weights]
    lines += ["    char* end;", "};", ""]
    lines += ["static __device__ Local locals(const Given& g, char* at, int rows) {"]
    lines += ["    Local l;"]
    for r in rooms:
        size = f"(long long)rows * {r.per_row}" if r.per_row else str(r.fixed)
        lines.append(f"    l.{r.name} = ({r.c_type}*)at; at += ({size} + 15) / 16 * 16;")
    lines += [f"    l.{name} = g.{name};" for _, name, _ in weights]
    lines += ["    l.end = at;", "    return l;", "}", ""]
    names = ["begin", *[f"stage_{k}" for k in range(len(stages) - 2)], "end"]
    for name, phases in zip(names, stages, strict=True):
        lines += [f"static __device__ void {name}({SHARED}) {{"]
        for body in phases:
            lines += ["    {", *["        " + line for line in body], "    }"]
        lines += ["}", ""]
    lines += _whole(fields, weights, names, late) + _parts(fields, names, late)
    return "\n".join(lines)


def _whole(fields, weights, names, late):
    """The kernel that runs all steps: each block for some of the rows.

    ``kept`` says by its bits which matrices are kept in shared memory.
    """
    parameters = ", ".join([f"{c_type} {name}" for c_type, name in fields])
    given = ", ".join([name for _, name in fields])
    lines = [
        f'extern "C" __global__ void __launch_bounds__({MOST_THREADS}, 1) whole(',
        f"    long long steps, int rows_each, long long kept, {parameters}",
        ") {",
        "    extern __shared__ __align__(16) char shared_memory[];",
        f"    Given g = {{{given}}};",
        "    int thread = threadIdx.x, threads = blockDim.x, piece = blockIdx.x;",
        "    int first = piece * rows_each;",
        "    int rows = g.total - first < rows_each ? (int)(g.total - first) : rows_each;",
        "    Local l = locals(g, shared_memory, rows_each);",
    ]
    for k, (c_type, name, n) in enumerate(weights):
        lines += [
            f"    if (kept >> {k} & 1) {{",
            f"        l.{name} = ({c_type}*)l.end;",
            f"        l.end += ({n} * sizeof({c_type}) + 15) / 16 * 16;",
            f"        for (int i = thread; i < {n}; i += threads) l.{name}[i] = g.{name}[i];",
            "    }",
        ]
    arguments = "(g, l, now, first, rows, thread, threads, piece);"
    order = "now = steps - 1; now >= 0; now--" if late else "now = 0; now < steps; now++"
    lines += ["    long long now = 0;", f"    begin{arguments}", "    __syncthreads();"]
    lines += [f"    for ({order}) {{"]
    for name in names[1:-1]:
        lines += [f"        {name}{arguments}", "        __syncthreads();"]
    return [*lines, "    }", f"    end{arguments}", "}", ""]


def _parts(fields, names, late):
    """The kernels of which a graph is made: each a phase for all rows."""
    parameters = ", ".join([f"{c_type} {name}" for c_type, name in fields])
    sign = "-" if late else "+"
    lines = [f'extern "C" __global__ void prepare(void* table, {parameters}) {{']
    lines += ["    Given* given = (Given*)table;"]
    lines += [f"    given->{name} = {name};" for _, name in fields] + ["}", ""]
    lines += ['extern "C" __global__ void advance(void* table, long long steps) {']
    lines += [f"    ((Given*)table)->t {sign}= steps;", "}", ""]
    for name in names:
        lines += [
            f'extern "C" __global__ void {name}_of_all(void* table, long long ahead) {{',
            "    const Given* given = (const Given*)table;",
            "    Local l = locals(*given, given->scratch, (int)given->total);",
            "    int thread = blockIdx.x * blockDim.x + threadIdx.x;",
            f"    {name}(",
            f"        *given, l, given->t {sign} ahead, 0, (int)given->total, thread,",
            "        gridDim.x * blockDim.x, 0",
            "    );",
            "}",
            "",
        ]
    return lines
