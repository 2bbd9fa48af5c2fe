/* metrics.h - the sums of all workers in Prometheus' text form (ux section 5: base units, bounded labels). */
#ifndef TOLLGATE_GATEWAY_METRICS_H
#define TOLLGATE_GATEWAY_METRICS_H

#include "base/buf.h"
#include "gateway/gateway.h"

void metrics_write(const struct gateway *gw, struct buf *out);

#endif
