/* admin.h - the operators' listener: plain HTTP on loopback, on the housekeeper's loop. GET /metrics, /healthz. */
#ifndef TOLLGATE_GATEWAY_ADMIN_H
#define TOLLGATE_GATEWAY_ADMIN_H

#include "gateway/gateway.h"

struct admin;
/* NULL with a problem. A port 0 in `address` is replaced by the one that the system chose. */
struct admin *admin_new(struct event_base *base, struct gateway *gw, struct config_address *address, struct problems *ps);
void admin_free(struct admin *a);

#endif
