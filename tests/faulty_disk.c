/* A disk that fails on request: loaded before the C library, it counts the calls that use files under one folder and
   makes them fail from a chosen one on. `disk_faults.py` compiles and drives it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NO = 0, READS = 1, WRITES = 2 };

static char folder[4096];
static int which = NO, code = EIO;
static long first = 0, last = 0, calls = 0;

/* From the call number `from` (1 for the next one) to the call number `to`, those of a kind fail with `error`. */
void fail(const char *under, int kind, long from, long to, int error) {
    snprintf(folder, sizeof folder, "%s/", under);
    which = kind;
    first = from;
    last = to;
    code = error;
    calls = 0;
}

long counted(void) { return calls; }

static int fails_at(int kind, const char *path) {
    if (!(which & kind) || !path || strncmp(path, folder, strlen(folder)))
        return 0;
    long number = __sync_add_and_fetch(&calls, 1);
    if (number < first || number > last)
        return 0;
    errno = code;
    return 1;
}

static int fails(int kind, int handle) {
    char link[64], path[4096];
    if (!(which & kind))
        return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails_at(kind, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int handle, void *data, size_t size) {
    return fails(READS, handle) ? -1 : REAL(read)(handle, data, size);
}

ssize_t pread64(int handle, void *data, size_t size, off64_t place) {
    return fails(READS, handle) ? -1 : REAL(pread64)(handle, data, size, place);
}

ssize_t write(int handle, const void *data, size_t size) {
    return fails(WRITES, handle) ? -1 : REAL(write)(handle, data, size);
}

ssize_t writev(int handle, const struct iovec *pieces, int count) {
    return fails(WRITES, handle) ? -1 : REAL(writev)(handle, pieces, count);
}

int fsync(int handle) { return fails(WRITES, handle) ? -1 : REAL(fsync)(handle); }

int rename(const char *before, const char *after) {
    return fails_at(WRITES, after) ? -1 : REAL(rename)(before, after);
}

int mkdir(const char *path, mode_t mode) { return fails_at(WRITES, path) ? -1 : REAL(mkdir)(path, mode); }

int unlink(const char *path) { return fails_at(WRITES, path) ? -1 : REAL(unlink)(path); }

static int opened(const char *name, const char *path, int flags, mode_t mode) {
    int kind = (flags & O_ACCMODE) == O_RDONLY ? READS : WRITES;
    if (fails_at(kind, path))
        return -1;
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open64", path, flags, mode);
}
