// Plays the service manager: receives datagrams at a Unix socket, and prints each as a line of JSON.
//
//     notified NAME      NAME is a path, or an abstract name after @
//
// It ends when its standard input does.

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void print(const char *text, ssize_t length) {
  fputs("{\"lines\":[\"", stdout);
  for (ssize_t i = 0; i < length; i++) {
    if (text[i] == '\n') {
      fputs("\",\"", stdout);
    } else {
      if (text[i] == '"' || text[i] == '\\') putchar('\\');
      putchar(text[i]);
    }
  }
  fputs("\"]}\n", stdout);
  fflush(stdout);
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  size_t length = strlen(argv[1]);
  memcpy(address.sun_path, argv[1], length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
  socklen_t size = sizeof(sa_family_t) + length + (argv[1][0] == '/' ? 1 : 0);
  if (receiver < 0 || bind(receiver, (struct sockaddr *)&address, size) != 0) {
    perror(argv[1]);
    return 1;
  }
  puts("{\"bound\":true}");
  fflush(stdout);
  for (;;) {
    struct pollfd sources[] = {{.fd = receiver, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    if (poll(sources, 2, -1) < 0) return 1;
    if (sources[0].revents & POLLIN) {
      char text[4096];
      ssize_t count = recv(receiver, text, sizeof text, 0);
      if (count >= 0) print(text, count);
    } else if (sources[1].revents) {
      return 0;
    }
  }
}
