// Fused normalization kernels for training on a CPU, for tensors whose channels lie innermost.
// Compiled twice by fused.py: T is float, or bf16 stored as uint16_t (BF16 defined).
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef BF16
typedef uint16_t T;
static inline float ld(T v) { union { uint32_t u; float f; } k; k.u = (uint32_t)v << 16; return k.f; }
static inline T st(float v) { union { uint32_t u; float f; } k; k.f = v; return (T)((k.u + 0x7fffu + ((k.u >> 16) & 1u)) >> 16); }
#else
typedef float T;
static inline float ld(T v) { return v; }
static inline T st(float v) { return v; }
#endif
static inline float sigm(float z) { return 1.0f / (1.0f + expf(-z)); }

// y = act(groupnorm(x)); mean and rstd are [n,g]; act 1 is SiLU.
void gn_forward(const T *x, T *y, long n, long hw, long c, long g, const float *w, const float *b, float eps, int act, float *mean, float *rstd) {
    float *s = malloc(4 * c * sizeof(float)), *q = s + c, *a = q + c, *o = a + c;
    const long per = c / g;
    for (long i = 0; i < n; i++) {
        const T *xi = x + i * hw * c;
        T *yi = y + i * hw * c;
        double *S = calloc(2 * c, sizeof(double)), *Q = S + c;
        for (long p0 = 0; p0 < hw; p0 += 64) {
            long p1 = p0 + 64 < hw ? p0 + 64 : hw;
            memset(s, 0, 2 * c * sizeof(float));
            for (long p = p0; p < p1; p++)
                _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float v = ld(xi[p * c + k]); s[k] += v; q[k] += v * v; }
            _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { S[k] += s[k]; Q[k] += q[k]; }
        }
        for (long j = 0; j < g; j++) {
            double m = 0, v = 0;
            for (long k = j * per; k < (j + 1) * per; k++) { m += S[k]; v += Q[k]; }
            m /= (double)per * hw; v = v / ((double)per * hw) - m * m;
            if (v < 0) v = 0;
            float r = (float)(1.0 / sqrt(v + eps));
            mean[i * g + j] = (float)m; rstd[i * g + j] = r;
            for (long k = j * per; k < (j + 1) * per; k++) { a[k] = w[k] * r; o[k] = b[k] - (float)m * r * w[k]; }
        }
        free(S);
        if (act)
            for (long p = 0; p < hw; p++)
                _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float z = ld(xi[p * c + k]) * a[k] + o[k]; yi[p * c + k] = st(z * sigm(z)); }
        else
            for (long p = 0; p < hw; p++)
                _Pragma("GCC ivdep") for (long k = 0; k < c; k++) yi[p * c + k] = st(ld(xi[p * c + k]) * a[k] + o[k]);
    }
    free(s);
}

// dx, and dw and db (added to).
void gn_backward(const T *dy, const T *x, T *dx, long n, long hw, long c, long g, const float *w, const float *b, int act,
                 const float *mean, const float *rstd, float *dw, float *db) {
    float *s = malloc(7 * c * sizeof(float)), *q = s + c, *a = q + c, *o = a + c, *u = o + c, *v = u + c, *t = v + c;
    const long per = c / g;
    for (long i = 0; i < n; i++) {
        const T *xi = x + i * hw * c, *yi = dy + i * hw * c;
        T *di = dx + i * hw * c;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) {
            float r = rstd[i * g + k / per];
            a[k] = w[k] * r; o[k] = b[k] - mean[i * g + k / per] * r * w[k];
        }
        double *S = calloc(2 * c, sizeof(double)), *Q = S + c;
        for (long p0 = 0; p0 < hw; p0 += 64) {
            long p1 = p0 + 64 < hw ? p0 + 64 : hw;
            memset(s, 0, 2 * c * sizeof(float));
            for (long p = p0; p < p1; p++)
                if (act)
                    _Pragma("GCC ivdep") for (long k = 0; k < c; k++) {
                        float xv = ld(xi[p * c + k]), z = xv * a[k] + o[k], e = sigm(z);
                        float d = ld(yi[p * c + k]) * (e * (1.0f + z * (1.0f - e)));
                        di[p * c + k] = st(d); s[k] += d; q[k] += d * xv;
                    }
                else
                    _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float xv = ld(xi[p * c + k]), d = ld(yi[p * c + k]); di[p * c + k] = st(d); s[k] += d; q[k] += d * xv; }
            _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { S[k] += s[k]; Q[k] += q[k]; }
        }
        for (long j = 0; j < g; j++) {
            double m = mean[i * g + j], r = rstd[i * g + j], g1 = 0, g2 = 0, cnt = (double)per * hw;
            for (long k = j * per; k < (j + 1) * per; k++) {
                double xh = (Q[k] - m * S[k]) * r;
                dw[k] += (float)xh; db[k] += (float)S[k];
                g1 += S[k] * w[k]; g2 += xh * w[k];
            }
            // dx = r * (dz*w - g1/cnt - xhat*g2/cnt)
            for (long k = j * per; k < (j + 1) * per; k++) {
                t[k] = (float)(r * w[k]);
                u[k] = (float)(-r * r * g2 / cnt);
                v[k] = (float)(-r * g1 / cnt + m * r * r * g2 / cnt);
            }
        }
        free(S);
        for (long p = 0; p < hw; p++)
            _Pragma("GCC ivdep") for (long k = 0; k < c; k++) di[p * c + k] = st(ld(di[p * c + k]) * t[k] + ld(xi[p * c + k]) * u[k] + v[k]);
    }
    free(s);
}

void ln_forward(const T *x, T *y, long rows, long c, const float *w, const float *b, float eps, float *mean, float *rstd) {
    for (long i = 0; i < rows; i++) {
        const T *xi = x + i * c;
        T *yi = y + i * c;
        float m = 0, v = 0;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) m += ld(xi[k]);
        m /= c;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float d = ld(xi[k]) - m; v += d * d; }
        float r = 1.0f / sqrtf(v / c + eps);
        mean[i] = m; rstd[i] = r;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) yi[k] = st((ld(xi[k]) - m) * r * w[k] + b[k]);
    }
}

void ln_backward(const T *dy, const T *x, T *dx, long rows, long c, const float *w, const float *mean, const float *rstd, float *dw, float *db) {
    for (long i = 0; i < rows; i++) {
        const T *xi = x + i * c, *yi = dy + i * c;
        T *di = dx + i * c;
        float m = mean[i], r = rstd[i], g1 = 0, g2 = 0;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) {
            float d = ld(yi[k]), xh = (ld(xi[k]) - m) * r;
            dw[k] += d * xh; db[k] += d; g1 += d * w[k]; g2 += d * w[k] * xh;
        }
        g1 /= c; g2 /= c;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) di[k] = st(r * (ld(yi[k]) * w[k] - g1 - (ld(xi[k]) - m) * r * g2));
    }
}

// x is [rows, 2c] (value, gate): y = value * gelu(gate).
void geglu_forward(const T *x, T *y, long rows, long c) {
    for (long i = 0; i < rows; i++)
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float v = ld(x[i * 2 * c + k]), g = ld(x[i * 2 * c + c + k]); y[i * c + k] = st(v * g * 0.5f * (1.0f + erff(g * 0.70710678f))); }
}
void geglu_backward(const T *dy, const T *x, T *dx, long rows, long c) {
    for (long i = 0; i < rows; i++)
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) {
            float v = ld(x[i * 2 * c + k]), g = ld(x[i * 2 * c + c + k]), d = ld(dy[i * c + k]);
            float ph = 0.5f * (1.0f + erff(g * 0.70710678f)), pd = 0.39894228f * expf(-0.5f * g * g);
            dx[i * 2 * c + k] = st(d * g * ph); dx[i * 2 * c + c + k] = st(d * v * (ph + g * pd));
        }
}

// Softmax over rows of c, in place, after scaling; and its gradient, in place on dy.
void softmax_forward(T *x, long rows, long c, float scale) {
    for (long i = 0; i < rows; i++) {
        T *xi = x + i * c;
        float m = -1e30f, s = 0, e[1024];
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { float v = ld(xi[k]); m = v > m ? v : m; }
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) { e[k] = expf((ld(xi[k]) - m) * scale); s += e[k]; }
        s = 1.0f / s;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) xi[k] = st(e[k] * s);
    }
}
void softmax_backward(T *dy, const T *y, long rows, long c, float scale) {
    for (long i = 0; i < rows; i++) {
        T *di = dy + i * c;
        const T *yi = y + i * c;
        float s = 0;
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) s += ld(di[k]) * ld(yi[k]);
        _Pragma("GCC ivdep") for (long k = 0; k < c; k++) di[k] = st((ld(di[k]) - s) * ld(yi[k]) * scale);
    }
}

#ifndef BF16
// Sum of squares of the mean of two gradients (g1 may be g0).
double grad_square(const float *g0, const float *g1, long n) {
    double s = 0;
    for (long i = 0; i < n; i += 4096) {
        long e = i + 4096 < n ? i + 4096 : n;
        float t = 0;
        for (long k = i; k < e; k++) { float g = 0.5f * (g0[k] + g1[k]); t += g * g; }
        s += t;
    }
    return s;
}

// Adam with bias correction already in lr and eps, decoupled weight decay, and the moving average of the weights.
void adam_step(float *restrict p, const float *restrict g0, const float *restrict g1, float *restrict m, float *restrict v, float *restrict ema,
               long n, float scale, float lr, float b1, float b2, float eps, float decay, float avg) {
    for (long i = 0; i < n; i++) {
        float g = 0.5f * scale * (g0[i] + g1[i]);
        float a = m[i] = b1 * m[i] + (1 - b1) * g;
        float q = v[i] = b2 * v[i] + (1 - b2) * g * g;
        float x = p[i] = p[i] * (1 - decay) - lr * a / (sqrtf(q) + eps);
        ema[i] += (x - ema[i]) * avg;
    }
}
#endif

// Attention over tensors [n, l, heads*d] as the projections leave them; fp32 inside, scores never stored.
// q, o: lq tokens; k, v: lk tokens. lse is [n, heads, lq].
#define INLINE static inline __attribute__((always_inline))

INLINE void gather(const T *src, long l, long stride, long off, int d, float *restrict dst, long lp) {
    for (int e = 0; e < d; e++) {
        for (long j = 0; j < l; j++) dst[e * lp + j] = ld(src[j * stride + off + e]);
        for (long j = l; j < lp; j++) dst[e * lp + j] = 0;
    }
}

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));

// e^x for x up to about 0.
INLINE v16 exp16(v16 x) {
    x = (v16)((i16)(x + 86.0f) & (i16)(x > -86.0f)) - 86.0f;  // at least -86
    v16 y = x * 1.44269504f;
    i16 n = __builtin_convertvector(y - 0.5f, i16);
    v16 f = y - __builtin_convertvector(n, v16);
    v16 p = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f + f * 0.00133336f))));
    return (v16)((i16)p + (n << 23));
}

INLINE void att_fwd(const int D, const T *q, const T *k, const T *v, T *o, float *lse, long n, long lq, long lk, long heads) {
    const long lp = (lk + 15) / 16 * 16, c = heads * D;
    const float scale = 1.0f / sqrtf((float)D);
    float *K = aligned_alloc(64, (sizeof(float) * lp * (2 * D + 2) + 63) / 64 * 64), *V = K + lp * D, *s = V + lp * D, *off = s + lp;
    for (long j = 0; j < lp; j++) off[j] = j < lk ? 0.0f : -1e30f;
    for (long i = 0; i < n; i++)
        for (long h = 0; h < heads; h++) {
            gather(k + i * lk * c, lk, c, h * D, D, K, lp);
            gather(v + i * lk * c, lk, c, h * D, D, V, lp);
            for (long r = 0; r < lq; r++) {
                const T *qi = q + (i * lq + r) * c + h * D;
                T *oi = o + (i * lq + r) * c + h * D;
                float qf[D], m = -1e30f, sum = 0;
                for (int e = 0; e < D; e++) qf[e] = ld(qi[e]) * scale;
                for (long j = 0; j < lp; j += 16) {
                    v16 a = *(v16 *)(off + j);
#pragma GCC unroll 64
                    for (int e = 0; e < D; e++) a += qf[e] * *(v16 *)(K + e * lp + j);
                    *(v16 *)(s + j) = a;
                }
                for (long j = 0; j < lp; j++) m = s[j] > m ? s[j] : m;
                v16 t = (v16){}, acc[D];
                for (int e = 0; e < D; e++) acc[e] = (v16){};
                for (long j = 0; j < lp; j += 16) {
                    v16 p = exp16(*(v16 *)(s + j) - m);
                    t += p;
#pragma GCC unroll 64
                    for (int e = 0; e < D; e++) acc[e] += p * *(v16 *)(V + e * lp + j);
                }
                for (int z = 0; z < 16; z++) sum += t[z];
                for (int e = 0; e < D; e++) {
                    float x = 0;
                    for (int z = 0; z < 16; z++) x += acc[e][z];
                    oi[e] = st(x / sum);
                }
                lse[(i * heads + h) * lq + r] = m + logf(sum);
            }
        }
    free(K);
}

INLINE void att_bwd(const int D, const T *dy, const T *q, const T *k, const T *v, const T *o, const float *lse, T *dq, T *dk, T *dv,
                    long n, long lq, long lk, long heads) {
    const long lp = (lk + 15) / 16 * 16, c = heads * D;
    const float scale = 1.0f / sqrtf((float)D);
    // K, V, GK, GV [D][lp]; G [lq][lp]; Q, DO [lq][D]; delta [lq]
    float *K = aligned_alloc(64, (sizeof(float) * (lp * 4 * D + lq * lp + lq * (2 * D + 1)) + 63) / 64 * 64);
    float *V = K + lp * D, *GK = V + lp * D, *GV = GK + lp * D, *G = GV + lp * D, *Q = G + lq * lp, *DO = Q + lq * D, *delta = DO + lq * D;
    for (long i = 0; i < n; i++)
        for (long h = 0; h < heads; h++) {
            gather(k + i * lk * c, lk, c, h * D, D, K, lp);
            gather(v + i * lk * c, lk, c, h * D, D, V, lp);
            const float *L = lse + (i * heads + h) * lq;
            for (long r = 0; r < lq; r++) {
                const long at = (i * lq + r) * c + h * D;
                float t = 0;
                for (int e = 0; e < D; e++) { Q[r * D + e] = ld(q[at + e]) * scale; DO[r * D + e] = ld(dy[at + e]); t += ld(dy[at + e]) * ld(o[at + e]); }
                delta[r] = t;
            }
            for (long j = 0; j < lp; j += 16) {
                v16 ke[D], ve[D], gk[D], gv[D], mask;
                for (int e = 0; e < D; e++) { ke[e] = *(v16 *)(K + e * lp + j); ve[e] = *(v16 *)(V + e * lp + j); gk[e] = gv[e] = (v16){}; }
                for (int z = 0; z < 16; z++) mask[z] = j + z < lk ? 1.0f : 0.0f;
                for (long r = 0; r < lq; r++) {
                    v16 a = (v16){} - L[r], b = (v16){} - delta[r];
#pragma GCC unroll 64
                    for (int e = 0; e < D; e++) { a += Q[r * D + e] * ke[e]; b += DO[r * D + e] * ve[e]; }
                    v16 p = exp16(a) * mask, g = p * b;
                    *(v16 *)(G + r * lp + j) = g;
#pragma GCC unroll 64
                    for (int e = 0; e < D; e++) { gk[e] += Q[r * D + e] * g; gv[e] += DO[r * D + e] * p; }
                }
                for (int e = 0; e < D; e++) { *(v16 *)(GK + e * lp + j) = gk[e]; *(v16 *)(GV + e * lp + j) = gv[e]; }
            }
            for (long r = 0; r < lq; r++) {
                const long at = (i * lq + r) * c + h * D;
                v16 s[D];
                for (int e = 0; e < D; e++) s[e] = (v16){};
                for (long j = 0; j < lp; j += 16) {
                    v16 g = *(v16 *)(G + r * lp + j);
#pragma GCC unroll 64
                    for (int e = 0; e < D; e++) s[e] += g * *(v16 *)(K + e * lp + j);
                }
                for (int e = 0; e < D; e++) {
                    float t = 0;
                    for (int z = 0; z < 16; z++) t += s[e][z];
                    dq[at + e] = st(t * scale);
                }
            }
            for (int e = 0; e < D; e++)
                for (long j = 0; j < lk; j++) {
                    dk[(i * lk + j) * c + h * D + e] = st(GK[e * lp + j]);
                    dv[(i * lk + j) * c + h * D + e] = st(GV[e * lp + j]);
                }
        }
    free(K);
}

#define EACH(D) case D: att_fwd(D, q, k, v, o, lse, n, lq, lk, heads); return 0;
int attention_forward(const T *q, const T *k, const T *v, T *o, float *lse, long n, long lq, long lk, long heads, long d) {
    switch (d) { EACH(2) EACH(4) EACH(8) EACH(16) EACH(24) EACH(32) EACH(64) }
    return 1;
}
#undef EACH
#define EACH(D) case D: att_bwd(D, dy, q, k, v, o, lse, dq, dk, dv, n, lq, lk, heads); return 0;
int attention_backward(const T *dy, const T *q, const T *k, const T *v, const T *o, const float *lse, T *dq, T *dk, T *dv,
                       long n, long lq, long lk, long heads, long d) {
    switch (d) { EACH(2) EACH(4) EACH(8) EACH(16) EACH(24) EACH(32) EACH(64) }
    return 1;
}
