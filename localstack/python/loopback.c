/* Keeps a program on loopback that would listen on all addresses: a bind() for LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t length) {
  int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  struct sockaddr_storage copy;
  if (address == NULL || length > sizeof copy) return next(socket, address, length);
  memcpy(&copy, address, length);
  if (copy.ss_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
    struct in_addr *v4 = &((struct sockaddr_in *)&copy)->sin_addr;
    if (v4->s_addr == htonl(INADDR_ANY)) v4->s_addr = htonl(INADDR_LOOPBACK);
  }
  if (copy.ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
    struct in6_addr *v6 = &((struct sockaddr_in6 *)&copy)->sin6_addr;
    /* ::ffff:127.0.0.1, for such sockets of Java take both versions. */
    static const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    if (IN6_IS_ADDR_UNSPECIFIED(v6)) memcpy(v6, mapped, sizeof mapped);
  }
  return next(socket, (struct sockaddr *)&copy, length);
}
