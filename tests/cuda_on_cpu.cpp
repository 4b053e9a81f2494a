// Runs a kernel compiled with cuda_on_cpu.h: its blocks one after the other, the threads of a block
// as fibers, each with a stack of its own, of which one runs until it is done or has to wait.

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct triple { unsigned x, y, z; };
static const unsigned WARP = 32, MOST = 1024, STACK = 128 << 10, SHARED = 256 << 10, GUARD = 1024;
enum { READY, AT_WARP, AT_BLOCK, DONE };
enum { OK, DEADLOCK, SHARED_OVERRUN };

struct fiber {
    int state, from, how, voted;
    unsigned mask;
    unsigned long long said, heard;
    bool made;
    jmp_buf at;
};
static fiber fibers[MOST];
static char* stacks;
static unsigned running;
static jmp_buf scheduler;
static ucontext_t main_context;
static void (*kernel)(void**);
static void** arguments;

extern "C" {
triple threadIdx, blockIdx, blockDim, gridDim;
char shared_memory[SHARED + GUARD] __attribute__((aligned(128)));
// The same, as it is called where it is declared inside the namespace dynet.
extern char in_dynet[] __asm__("_ZN5dynet13shared_memoryE")
    __attribute__((alias("shared_memory")));
}

static void wait_as(int state) {
    fibers[running].state = state;
    if (!_setjmp(fibers[running].at)) _longjmp(scheduler, 1);
}

extern "C" unsigned long long cuda_meet_warp(unsigned mask, unsigned long long said, int from) {
    fiber& me = fibers[running];
    me.mask = mask, me.said = said, me.from = from;
    wait_as(AT_WARP);
    return fibers[running].heard;
}

extern "C" int cuda_meet_block(int said, int how) {
    fiber& me = fibers[running];
    me.voted = said, me.how = how;
    wait_as(AT_BLOCK);
    return fibers[running].heard;
}

static void live() {
    for (;;) {
        kernel(arguments);
        wait_as(DONE);
    }
}

static void set_thread(unsigned t) {
    threadIdx.x = t % blockDim.x;
    threadIdx.y = t / blockDim.x % blockDim.y;
    threadIdx.z = t / blockDim.x / blockDim.y;
}

static void resume(unsigned t) {
    running = t;
    set_thread(t);
    if (_setjmp(scheduler)) return;
    fiber& f = fibers[t];
    if (f.made) _longjmp(f.at, 1);
    f.made = true;
    ucontext_t fresh;
    getcontext(&fresh);
    fresh.uc_stack.ss_sp = stacks + (size_t)t * STACK;
    fresh.uc_stack.ss_size = STACK;
    fresh.uc_link = 0;
    makecontext(&fresh, live, 0);
    swapcontext(&main_context, &fresh);
}

// Let those threads of a warp go on that wait for each other, and for nobody else.
static bool release_warp(unsigned first, unsigned n) {
    bool released = false;
    for (unsigned t = first; t < first + n; t++) {
        if (fibers[t].state != AT_WARP) continue;
        unsigned mask = fibers[t].mask, there = 0;
        bool all = true;
        for (unsigned u = 0; u < n; u++) {
            fiber& f = fibers[first + u];
            if (!(mask >> u & 1) || f.state == DONE) continue;
            if (f.state == AT_WARP && f.mask == mask) there |= 1u << u;
            else all = false;
        }
        if (!all || !(there >> (t - first) & 1)) continue;
        for (unsigned u = 0; u < n; u++) {
            if (!(there >> u & 1)) continue;
            fiber& f = fibers[first + u];
            f.heard = there >> f.from & 1 ? fibers[first + f.from].said : ~0ull;
        }
        for (unsigned u = 0; u < n; u++)
            if (there >> u & 1) fibers[first + u].state = READY;
        released = true;
    }
    return released;
}

static bool release_block(unsigned n) {
    int any = 0, all = 1, count = 0;
    for (unsigned t = 0; t < n; t++) {
        fiber& f = fibers[t];
        if (f.state == DONE) continue;
        if (f.state != AT_BLOCK) return false;
        any |= f.voted != 0, all &= f.voted != 0, count += f.voted != 0;
    }
    bool released = false;
    for (unsigned t = 0; t < n; t++) {
        fiber& f = fibers[t];
        if (f.state == DONE) continue;
        f.heard = f.how == 1 ? any : f.how == 2 ? all : count;
        f.state = READY, released = true;
    }
    return released;
}

static int run_block(unsigned n, bool meets, bool backwards) {
    if (!meets) {
        for (unsigned k = 0; k < n; k++) {
            set_thread(backwards ? n - 1 - k : k);
            kernel(arguments);
        }
        return OK;
    }
    if (!stacks)
        stacks = (char*)mmap(0, (size_t)MOST * STACK, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (unsigned t = 0; t < n; t++) fibers[t].state = READY;
    do {
        for (unsigned k = 0; k < n; k += WARP) {
            unsigned first = backwards ? (n - 1 - k) / WARP * WARP : k;
            unsigned lanes = n - first < WARP ? n - first : WARP;
            do {
                for (unsigned u = 0; u < lanes; u++) {
                    unsigned t = first + (backwards ? lanes - 1 - u : u);
                    if (fibers[t].state == READY) resume(t);
                }
            } while (release_warp(first, lanes));
        }
    } while (release_block(n));
    int status = OK;
    for (unsigned t = 0; t < n; t++)
        if (fibers[t].state != DONE) fibers[t].made = false, status = DEADLOCK;
    return status;
}

extern "C" int cuda_launch(void (*function)(void**), void** given, const unsigned* grid,
                           const unsigned* block, unsigned shared, int meets, int backwards) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    kernel = function, arguments = given;
    unsigned long long blocks = (unsigned long long)grid[0] * grid[1] * grid[2];
    for (unsigned long long k = 0; k < blocks; k++) {
        unsigned long long b = backwards ? blocks - 1 - k : k;
        blockIdx.x = b % grid[0];
        blockIdx.y = b / grid[0] % grid[1];
        blockIdx.z = b / grid[0] / grid[1];
        memset(shared_memory, 0xff, shared);
        memset(shared_memory + shared, 0xab, GUARD);
        int status = run_block(block[0] * block[1] * block[2], meets, backwards);
        if (status != OK) return status;
        for (unsigned i = 0; i < GUARD; i++)
            if (shared_memory[shared + i] != (char)0xab) return SHARED_OVERRUN;
    }
    return OK;
}
