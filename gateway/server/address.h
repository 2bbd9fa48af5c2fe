/* address.h - a configured address as a listening socket. */
#ifndef TOLLGATE_GATEWAY_ADDRESS_H
#define TOLLGATE_GATEWAY_ADDRESS_H

#include <event2/listener.h>

#include "gateway/config.h"

/* `flags` beyond those every listener has (LEV_OPT_REUSEABLE_PORT for workers). A port 0 is replaced by the one that
 * the system chose. NULL with errno. */
struct evconnlistener *address_listen(struct event_base *base, struct config_address *a, unsigned flags,
                                      evconnlistener_cb on_accept, void *arg);

#endif
