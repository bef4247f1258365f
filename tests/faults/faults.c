/* Counts what a program does to files, and ends or hinders it at a chosen call; also sets its clock ahead.
 *
 * Loaded with LD_PRELOAD. It acts only in programs whose file name begins with AA_FAULTS_PROGRAM, so that tar and zstd, which
 * the program starts, are left alone. All processes of the program count together, in AA_FAULTS_COUNT (eight bytes, shared).
 *
 *   AA_FAULTS=kill:N      SIGKILL in the place of the N-th call
 *   AA_FAULTS=torn:N      the same, but half of what was to be written is there
 *   AA_FAULTS=stop:N      SIGSTOP before the N-th call
 *   AA_FAULTS=fail:N:E    the N-th call fails with the error number E
 *   AA_FAULTS=full:N      from the N-th call on, whatever needs room fails with ENOSPC
 *   AA_FAULTS_LOG=FILE    one line for each call: number, name, path
 *   AA_CLOCK_AHEAD=S      so many seconds ahead
 *
 * What counts: writes into regular files (not those that are standard output or standard error), fsync and its kin, making,
 * renaming, linking, cutting and removing files. A raw system call would pass us by: the tests compare with strace.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum mode { COUNT, KILL, TORN, STOP, FAIL, FULL };
/* What a call is about: whether it needs room, and whether half of it can be done. */
enum kind { OTHER, ROOM };

static int ours;
static uint64_t own_count;
static uint64_t *count = &own_count;
static enum mode mode;
static uint64_t at;
static int error_number;
static long long ahead;
static int log_fd = -1;

__attribute__((constructor)) static void begin(void) {
    char path[4096];
    const char *program = getenv("AA_FAULTS_PROGRAM");
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (program == NULL || length < 0) return;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    ours = name != NULL && strncmp(name + 1, program, strlen(program)) == 0;
    if (!ours) return;
    const char *text = getenv("AA_CLOCK_AHEAD");
    if (text != NULL) ahead = strtoll(text, NULL, 10);
    text = getenv("AA_FAULTS_COUNT");
    if (text != NULL) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CLOEXEC, 0);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) abort();
        syscall(SYS_close, fd);
        count = map;
    }
    text = getenv("AA_FAULTS_LOG");
    if (text != NULL) log_fd = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    text = getenv("AA_FAULTS");
    if (text == NULL) return;
    unsigned long long number = 0;
    if (sscanf(text, "kill:%llu", &number) == 1) mode = KILL;
    else if (sscanf(text, "torn:%llu", &number) == 1) mode = TORN;
    else if (sscanf(text, "stop:%llu", &number) == 1) mode = STOP;
    else if (sscanf(text, "fail:%llu:%d", &number, &error_number) == 2) mode = FAIL;
    else if (sscanf(text, "full:%llu", &number) == 1) mode = FULL;
    else abort();
    at = number;
}

static void note(uint64_t number, const char *name, const char *path, int fd) {
    char link[64], found[4096], line[4400];
    if (log_fd < 0) return;
    if (path == NULL) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, found, sizeof found - 1);
        found[length < 0 ? 0 : length] = 0;
        path = found;
    }
    int length = snprintf(line, sizeof line, "%llu %s %s\n", (unsigned long long)number, name, path);
    syscall(SYS_write, log_fd, line, (size_t)length);
}

/* Counts a call. Returns 0 when it is to be done, 1 when half of it is, before the end; -1 with errno when it fails. */
static int met(const char *name, const char *path, int fd, enum kind kind) {
    if (!ours) return 0;
    int before = errno;
    uint64_t number = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    note(number, name, path, fd);
    errno = before;
    switch (mode) {
    case KILL:
        if (number == at) kill(getpid(), SIGKILL);
        return 0;
    case TORN:
        return number == at;
    case STOP:
        if (number == at) kill(getpid(), SIGSTOP);
        return 0;
    case FAIL:
        if (number != at) return 0;
        errno = error_number;
        return -1;
    case FULL:
        if (number < at || kind != ROOM) return 0;
        errno = ENOSPC;
        return -1;
    default:
        return 0;
    }
}

static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Pipes, sockets and terminals are no files, and what the program says to its user is none of its work. */
static int is_file(int fd) {
    struct stat status;
    int before = errno;
    int yes = ours && fd > 2 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    errno = before;
    return yes;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    if (is_file(fd)) {
        int how = met("write", NULL, fd, ROOM);
        if (how < 0) return -1;
        if (how > 0) { real(fd, bytes, length / 2); end(); }
    }
    return real(fd, bytes, length);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
        REAL(name); \
        if (is_file(fd)) { \
            int how = met(#name, NULL, fd, ROOM); \
            if (how < 0) return -1; \
            if (how > 0) { real(fd, bytes, length / 2, offset); end(); } \
        } \
        return real(fd, bytes, length, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *pieces, int pieces_count) {
    REAL(writev);
    if (is_file(fd)) {
        int how = met("writev", NULL, fd, ROOM);
        if (how < 0) return -1;
        if (how > 0) { real(fd, pieces, pieces_count / 2); end(); }
    }
    return real(fd, pieces, pieces_count);
}

#define PWRITEV(name, offset_type) \
    ssize_t name(int fd, const struct iovec *pieces, int pieces_count, offset_type offset) { \
        REAL(name); \
        if (is_file(fd)) { \
            int how = met(#name, NULL, fd, ROOM); \
            if (how < 0) return -1; \
            if (how > 0) { real(fd, pieces, pieces_count / 2, offset); end(); } \
        } \
        return real(fd, pieces, pieces_count, offset); \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    REAL(copy_file_range);
    if (is_file(to)) {
        int how = met("copy_file_range", NULL, to, ROOM);
        if (how < 0) return -1;
        if (how > 0) { real(from, from_offset, to, to_offset, length / 2, flags); end(); }
    }
    return real(from, from_offset, to, to_offset, length, flags);
}

#define SENDFILE(name, offset_type) \
    ssize_t name(int to, int from, offset_type *offset, size_t length) { \
        REAL(name); \
        if (is_file(to)) { \
            int how = met(#name, NULL, to, ROOM); \
            if (how < 0) return -1; \
            if (how > 0) { real(to, from, offset, length / 2); end(); } \
        } \
        return real(to, from, offset, length); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags) {
    REAL(splice);
    if (is_file(to)) {
        int how = met("splice", NULL, to, ROOM);
        if (how < 0) return -1;
        if (how > 0) { real(from, from_offset, to, to_offset, length / 2, flags); end(); }
    }
    return real(from, from_offset, to, to_offset, length, flags);
}

/* Calls of which no half can be done: torn is killed. */
#define WHOLE(type, name, parameters, arguments, path, fd, kind) \
    type name parameters { \
        REAL(name); \
        int how = met(#name, path, fd, kind); \
        if (how < 0) return -1; \
        if (how > 0) end(); \
        return real arguments; \
    }
WHOLE(int, fsync, (int fd), (fd), NULL, fd, OTHER)
WHOLE(int, fdatasync, (int fd), (fd), NULL, fd, OTHER)
WHOLE(int, syncfs, (int fd), (fd), NULL, fd, OTHER)
WHOLE(int, ftruncate, (int fd, off_t length), (fd, length), NULL, fd, ROOM)
WHOLE(int, ftruncate64, (int fd, off64_t length), (fd, length), NULL, fd, ROOM)
WHOLE(int, fallocate, (int fd, int how_so, off_t offset, off_t length), (fd, how_so, offset, length), NULL, fd, ROOM)
WHOLE(int, fallocate64, (int fd, int how_so, off64_t offset, off64_t length), (fd, how_so, offset, length), NULL, fd, ROOM)
WHOLE(int, rename, (const char *from, const char *to), (from, to), to, -1, OTHER)
WHOLE(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), to, -1, OTHER)
WHOLE(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags), to, -1, OTHER)
WHOLE(int, link, (const char *from, const char *to), (from, to), to, -1, ROOM)
WHOLE(int, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags), to, -1, ROOM)
WHOLE(int, symlink, (const char *target, const char *path), (target, path), path, -1, ROOM)
WHOLE(int, symlinkat, (const char *target, int a, const char *path), (target, a, path), path, -1, ROOM)
WHOLE(int, unlink, (const char *path), (path), path, -1, OTHER)
WHOLE(int, unlinkat, (int a, const char *path, int flags), (a, path, flags), path, -1, OTHER)
WHOLE(int, rmdir, (const char *path), (path), path, -1, OTHER)
WHOLE(int, mkdir, (const char *path, mode_t how_so), (path, how_so), path, -1, ROOM)
WHOLE(int, mkdirat, (int a, const char *path, mode_t how_so), (a, path, how_so), path, -1, ROOM)

#define OPEN(name, first, arguments) \
    int name(first const char *path, int flags, ...) { \
        REAL(name); \
        mode_t how_so = 0; \
        if (flags & (O_CREAT | __O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            how_so = va_arg(rest, mode_t); \
            va_end(rest); \
            if (flags & O_CREAT) { \
                int how = met(#name, path, -1, ROOM); \
                if (how < 0) return -1; \
                if (how > 0) end(); \
            } \
        } \
        return real arguments; \
    }
#define NOTHING
#define DIRECTORY int directory,
OPEN(open, NOTHING, (path, flags, how_so))
OPEN(open64, NOTHING, (path, flags, how_so))
OPEN(openat, DIRECTORY, (directory, path, flags, how_so))
OPEN(openat64, DIRECTORY, (directory, path, flags, how_so))

/* The clock. */

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime);
    int result = real(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += ahead;
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    REAL(gettimeofday);
    int result = real(time, zone);
    if (result == 0) time->tv_sec += ahead;
    return result;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place != NULL) *place = now.tv_sec;
    return now.tv_sec;
}
