"""Plays a service manager that binds the sockets of a service, stores its descriptors, and starts it again when it is
killed.

    activating.py CONFIG COMMAND [ARGUMENT...]

CONFIG is JSON: `sockets`, a list of {"name", "tcp" | "udp" | "unix" | "abstract" | "silent": address, or "connection" |
"other": true}; `notify`, the path of the socket for notifications; `stores`, how many descriptors it stores; `pause`,
for how many seconds it waits before it removes one; and `env`, more variables. It prints a line of JSON for each thing that happens, and ends as the service does, unless that ends by
SIGKILL.
"""
import array
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

CONFIG, COMMAND = json.loads(sys.argv[1]), sys.argv[2:]
MOST_DESCRIPTORS = 16
PEERS = []
PR_SET_CHILD_SUBREAPER = 36


def report(**facts):
    line = json.dumps(facts) + "\n"
    os.write(1, line.encode())


def internet(address, kind):
    host, port = address.rsplit(":", 1)
    host, is_only = host.strip("[]"), host.endswith("%only]")
    host = host.removesuffix("%only")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, is_only)
    made.bind((host, int(port)))
    return made


def bind(wanted):
    """A socket as the unit of a socket asks for."""
    if "tcp" in wanted:
        made = internet(wanted["tcp"], socket.SOCK_STREAM)
        made.listen(wanted.get("backlog", 4096))
    elif "silent" in wanted:
        made = internet(wanted["silent"], socket.SOCK_STREAM)
    elif "udp" in wanted:
        made = internet(wanted["udp"], socket.SOCK_DGRAM)
    elif "connection" in wanted:
        made, other = socket.socketpair()
        PEERS.append(other)
    elif "other" in wanted:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    else:
        name = wanted.get("unix") or "\0" + wanted["abstract"]
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(name)
        made.listen(4096)
    return made


def end_session():
    """Ends what the service has left."""
    while True:
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_left(pid)]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def is_left(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            state = stat.read().rsplit(")", 1)[1].split()[0]
        return pid != os.getpid() and os.getsid(pid) == os.getsid(0) and state not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Manager:
    def __init__(self):
        self.sockets = [(it["name"], bind(it)) for it in CONFIG.get("sockets", [])]
        self.stored = []
        self.polled = set()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(CONFIG["notify"])
        self.poll = select.poll()
        self.poll.register(self.notify, select.POLLIN)

    def start(self):
        given = self.sockets + self.stored
        pid = os.fork()
        if pid == 0:
            self.execute(given)
        report(manager="started", pid=pid, names=[name for name, _ in given])
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        self.poll.register(self.pidfd, select.POLLIN)

    def execute(self, given):
        # Above the numbers that they get.
        high = [os.dup2(fd.fileno(), 200 + i) for i, (_, fd) in enumerate(given)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
            os.close(fd)
        env = {**os.environ, "NOTIFY_SOCKET": CONFIG["notify"], **CONFIG.get("env", {})}
        if given:
            env["LISTEN_PID"] = str(os.getpid())
            env["LISTEN_FDS"] = str(len(given))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
        if CONFIG.get("stores"):
            env["FDSTORE"] = str(CONFIG["stores"])
        os.execvpe(COMMAND[0], COMMAND, env)

    def hear(self):
        space = socket.CMSG_SPACE(MOST_DESCRIPTORS * 4)
        data, ancillary, _, _ = self.notify.recvmsg(4096, space)
        lines = data.decode().split("\n")
        fds = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        name = next((it[7:] for it in lines if it.startswith("FDNAME=")), "stored")
        if "FDSTORE=1" in lines:
            for fd in fds:
                self.store(name, socket.socket(fileno=fd), "FDPOLL=0" not in lines)
        elif "FDSTOREREMOVE=1" in lines:
            time.sleep(CONFIG.get("pause", 0))
            self.remove(lambda other, _: other == name)
        else:
            report(manager="notice", lines=lines)
            main = next((it[8:] for it in lines if it.startswith("MAINPID=")), None)
            if main:
                self.follow(int(main))

    def follow(self, pid):
        """Another process is the service from now on. This one inherits it when its parent ends."""
        self.poll.unregister(self.pidfd)
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        self.poll.register(self.pidfd, select.POLLIN)

    def store(self, name, made, is_polled):
        inode = os.fstat(made.fileno()).st_ino
        if any(os.fstat(other.fileno()).st_ino == inode for _, other in self.stored):
            return
        self.stored.append((name, made))
        if is_polled:
            # Reports the end of a socket, whatever is asked for.
            self.poll.register(made, 0)
            self.polled.add(made.fileno())
        report(manager="stored", name=name, count=len(self.stored))

    def remove(self, is_it):
        for name, made in [it for it in self.stored if is_it(*it)]:
            self.stored.remove((name, made))
            if made.fileno() in self.polled:
                self.polled.remove(made.fileno())
                self.poll.unregister(made)
            made.close()
            report(manager="removed", name=name, count=len(self.stored))

    def run(self):
        self.start()
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.notify.fileno():
                    self.hear()
                elif fd == self.pidfd:
                    self.ended()
                else:
                    self.remove(lambda _, made: made.fileno() == fd)

    def ended(self):
        status = self.reap()
        self.poll.unregister(self.pidfd)
        os.close(self.pidfd)
        code = os.waitstatus_to_exitcode(status)
        end_session()
        if code == -signal.SIGKILL:
            return self.start()
        sockets = {name: self.listens(made) for name, made in self.sockets}
        stored = [name for name, made in self.stored if self.listens(made)]
        report(manager="ended", code=code, sockets=sockets, stored=stored)
        sys.exit(code if code >= 0 else 128 - code)

    def reap(self):
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == self.pid:
                return status

    @staticmethod
    def listens(made):
        return made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
Manager().run()
