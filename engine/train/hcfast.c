/* hcfast.c - the two hyper-connection sites, forward and backward, for the trainer.
 *
 * In torch these are fifty small operations a site and half of the training time. Here each is one pass.
 * Four streams only. Compiled on first use by hcfast.py, which also holds the plain form that it is
 * checked against; the engine has its own code and does not use this file.
 *
 * h, dh: [n][4][d]; z: [n][24], the product fn x h before the norm factor; C[j][k]: j source, k destination. */
#include <math.h>

enum { M = 4, Z = 24, MAX_ITERS = 32 };

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* Every intermediate matrix, in order: softmax + eps, then one after each division. Returns how many. */
static int sinkhorn(float T[2 * MAX_ITERS + 1][M][M], const float logits[M * M], int iters, float eps)
{
    int n = 0;

    for (int j = 0; j < M; j++) {
        float top = -INFINITY, sum = 0;

        for (int k = 0; k < M; k++)
            top = fmaxf(top, logits[M * j + k]);
        for (int k = 0; k < M; k++)
            sum += T[0][j][k] = expf(logits[M * j + k] - top);
        for (int k = 0; k < M; k++)
            T[0][j][k] = T[0][j][k] / sum + eps;
    }
    for (int it = 0; it < 2 * iters - 1; it++, n++) {
        float s[M] = { 0 };
        int rows = it & 1;                    /* columns first, and last */

        for (int j = 0; j < M; j++)
            for (int k = 0; k < M; k++)
                s[rows ? j : k] += T[n][j][k];
        for (int j = 0; j < M; j++)
            for (int k = 0; k < M; k++)
                T[n + 1][j][k] = T[n][j][k] / (s[rows ? j : k] + eps);
    }
    return n;
}

/* dC holds the gradient of the last matrix on entry and of the logits on return. */
static void sinkhorn_back(float T[2 * MAX_ITERS + 1][M][M], int n, float dC[M][M], float eps)
{
    for (; n > 0; n--) {
        float s[M] = { 0 }, dot[M] = { 0 };
        int rows = (n - 1) & 1;

        for (int j = 0; j < M; j++)
            for (int k = 0; k < M; k++) {
                s[rows ? j : k] += T[n - 1][j][k];
                dot[rows ? j : k] += dC[j][k] * T[n][j][k];
            }
        for (int j = 0; j < M; j++)
            for (int k = 0; k < M; k++)
                dC[j][k] = (dC[j][k] - dot[rows ? j : k]) / (s[rows ? j : k] + eps);
    }
    for (int j = 0; j < M; j++) {
        float dot = 0;

        for (int k = 0; k < M; k++)
            dot += dC[j][k] * (T[0][j][k] - eps);
        for (int k = 0; k < M; k++)
            dC[j][k] = (dC[j][k] - dot) * (T[0][j][k] - eps);
    }
}

void hc_in_forward(int n, int d, int iters, float hc_eps, float rms_eps, const float *h, const float *z,
                   const float *base, const float *scale, float *r, float *x, float *pre, float *post, float *C)
{
    float T[2 * MAX_ITERS + 1][M][M], logits[M * M];

    for (int t = 0; t < n; t++) {
        const float *ht = h + (long)t * M * d, *zt = z + (long)t * Z;
        float ss = 0, *xt = x + (long)t * d;
        int last;

        for (int i = 0; i < M * d; i++)
            ss += ht[i] * ht[i];
        r[t] = 1.0f / sqrtf(ss / (M * d) + rms_eps);
        for (int i = 0; i < M; i++) {
            pre[M * t + i] = sigmoid(zt[i] * r[t] * scale[0] + base[i]) + hc_eps;
            post[M * t + i] = 2 * sigmoid(zt[M + i] * r[t] * scale[1] + base[M + i]);
        }
        for (int i = 0; i < M * M; i++)
            logits[i] = zt[2 * M + i] * r[t] * scale[2] + base[2 * M + i];
        last = sinkhorn(T, logits, iters, hc_eps);
        for (int i = 0; i < M * M; i++)
            C[M * M * t + i] = T[last][i / M][i % M];
        for (int e = 0; e < d; e++)
            xt[e] = pre[M * t] * ht[e] + pre[M * t + 1] * ht[d + e] + pre[M * t + 2] * ht[2 * d + e]
                    + pre[M * t + 3] * ht[3 * d + e];
    }
}

/* dh gets everything but the path through z, whose gradient is left in dz for the caller's matrix products. */
void hc_in_backward(int n, int d, int iters, float hc_eps, const float *h, const float *z, const float *base,
                    const float *scale, const float *r, const float *dx, const float *dpost, const float *dC,
                    float *dh, float *dz, float *dbase, float *dscale)
{
    float T[2 * MAX_ITERS + 1][M][M], logits[M * M], g[Z];

    for (int t = 0; t < n; t++) {
        const float *ht = h + (long)t * M * d, *zt = z + (long)t * Z, *dxt = dx + (long)t * d;
        float *dht = dh + (long)t * M * d, pre[M], dot[M] = { 0 }, dr = 0, k, G[M][M];
        int last;

        for (int i = 0; i < M * M; i++)
            logits[i] = zt[2 * M + i] * r[t] * scale[2] + base[2 * M + i];
        last = sinkhorn(T, logits, iters, hc_eps);
        for (int i = 0; i < M * M; i++)
            G[i / M][i % M] = dC[M * M * t + i];
        sinkhorn_back(T, last, G, hc_eps);
        for (int i = 0; i < M; i++) {
            float s = 0;

            for (int e = 0; e < d; e++)
                s += dxt[e] * ht[i * d + e];
            dot[i] = s;
        }
        for (int i = 0; i < M; i++) {
            float a = sigmoid(zt[i] * r[t] * scale[0] + base[i]);
            float b = sigmoid(zt[M + i] * r[t] * scale[1] + base[M + i]);

            pre[i] = a + hc_eps;
            g[i] = dot[i] * a * (1 - a);
            g[M + i] = dpost[M * t + i] * 2 * b * (1 - b);
        }
        for (int i = 0; i < M * M; i++)
            g[2 * M + i] = G[i / M][i % M];
        for (int i = 0; i < Z; i++) {
            int part = i < M ? 0 : i < 2 * M ? 1 : 2;

            dbase[i] += g[i];
            dscale[part] += g[i] * zt[i] * r[t];
            dr += g[i] * scale[part] * zt[i];
            dz[(long)t * Z + i] = g[i] * scale[part] * r[t];
        }
        k = -dr * r[t] * r[t] * r[t] / (M * d);
        for (int i = 0; i < M; i++)
            for (int e = 0; e < d; e++)
                dht[i * d + e] = pre[i] * dxt[e] + k * ht[i * d + e];
    }
}

void hc_out_forward(int n, int d, const float *y, const float *h, const float *post, const float *C, float *out)
{
    for (int t = 0; t < n; t++) {
        const float *yt = y + (long)t * d, *ht = h + (long)t * M * d, *c = C + M * M * t;
        float *ot = out + (long)t * M * d;

        for (int k = 0; k < M; k++)
            for (int e = 0; e < d; e++)
                ot[k * d + e] = post[M * t + k] * yt[e] + c[k] * ht[e] + c[M + k] * ht[d + e]
                                + c[2 * M + k] * ht[2 * d + e] + c[3 * M + k] * ht[3 * d + e];
    }
}

void hc_out_backward(int n, int d, const float *y, const float *h, const float *post, const float *C,
                     const float *dout, float *dy, float *dh, float *dpost, float *dC)
{
    for (int t = 0; t < n; t++) {
        const float *yt = y + (long)t * d, *ht = h + (long)t * M * d, *c = C + M * M * t, *p = post + M * t;
        const float *g = dout + (long)t * M * d;
        float *dyt = dy + (long)t * d, *dht = dh + (long)t * M * d;

        for (int e = 0; e < d; e++)
            dyt[e] = p[0] * g[e] + p[1] * g[d + e] + p[2] * g[2 * d + e] + p[3] * g[3 * d + e];
        for (int j = 0; j < M; j++)
            for (int e = 0; e < d; e++)
                dht[j * d + e] = c[M * j] * g[e] + c[M * j + 1] * g[d + e] + c[M * j + 2] * g[2 * d + e]
                                 + c[M * j + 3] * g[3 * d + e];
        for (int k = 0; k < M; k++) {
            float s = 0, a[M] = { 0 };

            for (int e = 0; e < d; e++) {
                float q = g[k * d + e];

                s += q * yt[e];
                a[0] += q * ht[e];
                a[1] += q * ht[d + e];
                a[2] += q * ht[2 * d + e];
                a[3] += q * ht[3 * d + e];
            }
            dpost[M * t + k] = s;
            for (int j = 0; j < M; j++)
                dC[M * M * t + M * j + k] = a[j];
        }
    }
}
