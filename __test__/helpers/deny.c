// deny ERRNO NAME[,NAME…] COMMAND…: runs a command for which these system calls fail with this errno.
// `clone+FLAG` denies clone() only where all bits of FLAG (hexadecimal) are asked for.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static const struct {
  const char *name;
  long number;
} CALLS[] = {
    {"clone", SYS_clone},
    {"epoll_create1", SYS_epoll_create1},
    {"memfd_create", SYS_memfd_create},
    {"mmap", SYS_mmap},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"setuid", SYS_setuid},
    {"socketpair", SYS_socketpair},
};

static struct sock_filter filter[256];
static unsigned short length;

static void add(unsigned short code, unsigned char yes, unsigned char no, unsigned int value) {
  filter[length++] = (struct sock_filter){code, yes, no, value};
}

static void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned int)offset); }

static int deny(char *name, int number) {
  char *flag = strchr(name, '+');
  if (flag) *flag++ = 0;
  for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
    if (strcmp(CALLS[i].name, name)) continue;
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, flag ? 4 : 1, (unsigned int)CALLS[i].number);
    if (flag) {
      unsigned int bits = (unsigned int)strtoul(flag, NULL, 16);
      load(offsetof(struct seccomp_data, args[0]));
      add(BPF_ALU | BPF_AND | BPF_K, 0, 0, bits);
      add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, bits);
    }
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (unsigned int)number);
    return 1;
  }
  return 0;
}

int main(int count, char **args) {
  if (count < 4) return 99;
  for (char *name = strtok(args[2], ","); name; name = strtok(NULL, ",")) {
    if (!deny(name, atoi(args[1]))) return fprintf(stderr, "no system call %s\n", name), 99;
  }
  add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {length, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    perror("seccomp");
    return 99;
  }
  execvp(args[3], args + 3);
  perror(args[3]);
  return 98;
}
