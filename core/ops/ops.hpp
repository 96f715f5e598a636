// The operators: one declaration each. An operator appends its dispatches to the graph and returns its output.
//
// Everywhere: activations are NHWC {n, h, w, c} in g.activation() or f32, c a multiple of 4; the output has the
// activation type unless said otherwise; tensors over the device's binding limit are cut by rows. A bad argument is
// recorded with Graph::fail (Code::invalid_argument, naming operator and shapes) and an empty id comes back.
// In Precision::exact every result is the same, bit for bit, on every driver.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "graph/graph.hpp"
#include "graph/weight.hpp"

namespace pumice::ops {

/// 4 is the kernels' GEGLU; values from 16 on are the bits of a leaky ReLU's slope.
enum class Activation : std::uint32_t { none = 0, silu = 1, gelu = 2, quick_gelu = 3, relu = 5 };
/// x, or slope * x below 0.
constexpr Activation leaky_relu(float slope) {
    return slope == 0 ? Activation::relu : static_cast<Activation>(std::bit_cast<std::uint32_t>(slope));
}

struct LinearOptions {
    const Weight* bias = nullptr;          ///< vector [n]
    TensorId residual{};                   ///< of the output's shape, added last
    Activation activation = Activation::none;
    bool f32_output = false;               ///< write f32 whatever the precision
};
/// y = activation(x wᵀ + bias) + residual; x {n,h,w,k} → {n,h,w,w.n}. With w.geglu: y = value * gelu(gate), half the
/// columns (Shazeer, "GLU Variants Improve Transformer", 2020, arXiv 2002.05202; exact GELU).
TensorId linear(Graph&, TensorId x, const Weight& w, const LinearOptions& = {});

struct Conv2dOptions {
    const Weight* bias = nullptr;
    std::uint32_t stride = 1;                               ///< 1 or 2
    std::uint32_t pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;  ///< the VAE's downsample: 0, 0, 1, 1
    TensorId channel_add{};                ///< {n,1,1,c}, f32: added to every pixel of its picture (timestep embedding)
    TensorId residual{};                   ///< of the output's shape, added last
    Activation activation = Activation::none;
    bool f32_output = false;
};
/// Convolution as implicit GEMM. Where the graph is seamless (Graph::set_seamless), equal padding on both sides is not
/// zeros but the other end of the picture. x {n,h,w,k} → {n, (h+pads-kh)/stride+1, (w+pads-kw)/stride+1, w.n}.
TensorId conv2d(Graph&, TensorId x, const Weight& w, const Conv2dOptions& = {});

struct MatmulOptions {
    bool transpose_b = false;              ///< b is {n,1,N,K} instead of {n,1,K,N}
    float scale = 1;
};
/// Batched matrix product of activations: a {n,1,M,K}, b → {n,1,M,N}. K and N multiples of 4.
TensorId matmul(Graph&, TensorId a, TensorId b, const MatmulOptions& = {});

struct GroupNormOptions {
    std::uint32_t groups = 32;
    float eps = 1e-5f;                     ///< 1e-5 in the UNet's ResBlocks, 1e-6 in SpatialTransformer and VAE
    bool silu = false;
    /// In place of what the statistics give, f32 {n,1,2,c}: a factor and a shift for each channel.
    TensorId table{};
};
/// Of each picture of x, by chunks of its pixels: mean and sum of squared differences of each channel, f32 {1, 1, 2 *
/// chunks, c}. What group_norm begins with; a picture in pieces is normed by what those of all its pieces come to.
TensorId group_norm_statistics(Graph&, TensorId x);
struct NormChunks {
    std::uint32_t pixels = 0;  ///< of a chunk; the last has the rest
    std::uint32_t count = 0;   ///< of a picture
};
NormChunks norm_chunks(const Shape& x);
/// Wu and He, "Group Normalization" (2018). Statistics over each picture's group, in fp32.
TensorId group_norm(Graph&, TensorId x, const Weight& gamma, const Weight& beta, const GroupNormOptions&);

/// Over the channels of each row.
TensorId layer_norm(Graph&, TensorId x, const Weight& gamma, const Weight& beta, float eps = 1e-5f);

/// Over the channels of each row.
TensorId softmax(Graph&, TensorId x);

struct AttentionOptions {
    std::uint32_t heads = 1;
    bool causal = false;                   ///< query i sees keys 0…i (CLIP)
    float scale = 0;                       ///< 0: 1/sqrt(head size)
};
/// softmax(q kᵀ * scale) v a head, without a score matrix (online softmax: Milakov and Gimelshein 2018, arXiv
/// 1805.02867; Dao et al. 2022, arXiv 2205.14135). q {n,h,w,c}, k and v {n,*,*,c} of any length; c = heads * head
/// size, head size a multiple of 4 up to 1024 (a single VAE head has 512).
TensorId attention(Graph&, TensorId q, TensorId k, TensorId v, const AttentionOptions&);

/// Nearest neighbour to out_h x out_w: source pixel = floor(i * in / out).
TensorId upsample_nearest(Graph&, TensorId x, std::uint32_t out_h, std::uint32_t out_w);

enum class Resampling : std::uint32_t { bicubic = 0, lanczos = 1 };
/// x is rows [in_y, in_y + h) and columns [in_x, in_x + w) of a picture of in_h x in_w; what is made is rows [out_y,
/// out_y + rows) and columns [out_x, out_x + columns) of that picture at out_h x out_w.
struct ResampleWindow {
    std::uint32_t in_h, in_w, in_y, in_x, out_h, out_w, out_y, out_x;
};
/// Bicubic (Keys 1981, "Cubic Convolution Interpolation for Digital Image Processing", a = -0.5) or Lanczos of three
/// lobes (Duchon 1979), columns first; widened when it makes smaller, weights of samples inside the picture summing to
/// 1, as Pillow's. Computed in float32.
TensorId resample(Graph&, TensorId x, std::uint32_t rows, std::uint32_t columns, Resampling, const ResampleWindow&);
TensorId resample(Graph&, TensorId x, std::uint32_t rows, std::uint32_t columns, Resampling);

/// Shi et al. 2016 (arXiv 1609.05158): {n, h, w, channels r r} (padded) to {n, h r, w r, channels} (padded with zeros);
/// channel c r r + i r + j is pixel (i, j) of a cell.
TensorId pixel_shuffle(Graph&, TensorId x, std::uint32_t r, std::uint32_t channels);
/// The other way; h and w are multiples of r.
TensorId pixel_unshuffle(Graph&, TensorId x, std::uint32_t r, std::uint32_t channels);

/// What lies at the other end around each picture: {n,h,w,c} → {n,h+2 pad_y,w+2 pad_x,c}.
TensorId wrap(Graph&, TensorId x, std::uint32_t pad_y, std::uint32_t pad_x);

/// Where a tile lies in a picture: its upper left pixel. Beyond an edge it goes on at the other end.
struct TilePlace {
    std::uint32_t top = 0, left = 0;
};
/// `tile` {n,h,w,c} becomes that part of x {n,H,W,c}; f32, h <= H, w <= W.
void cut_tile(Graph&, TensorId x, const TilePlace&, TensorId tile);
/// sum += weight * tile in that part, pixel (i, j) of the tile with weights[row_weights + i] * weights[column_weights + j],
/// f32 in a device buffer.
void lay_tile(Graph&, TensorId sum, TensorId tile, const TilePlace&, TensorId weights, std::uint32_t row_weights,
              std::uint32_t column_weights);

/// Channels of a, then of b.
TensorId concat(Graph&, TensorId a, TensorId b);

/// Channels first to first + count - 1 of each row; both multiples of 4.
TensorId slice_channels(Graph&, TensorId x, std::uint32_t first, std::uint32_t count);

/// a * m + b * (1 - m), m in 0…1; all f32 and of one shape. Written to `out` if given, which may be one of them.
TensorId blend(Graph&, TensorId a, TensorId b, TensorId mask, TensorId out = {});

TensorId activation(Graph&, TensorId x, Activation);
/// x, or slopes[channel] * x below 0 (He et al. 2015, arXiv 1502.01852). slopes: a vector of x's channels, or fewer: those
/// beyond, padding, have slope 0.
TensorId prelu(Graph&, TensorId x, const Weight& slopes);

/// out = sum of weight[i] * x[i] (1 to 4 terms of one shape, f32; 8 where combines_eight), written to `out` if given, which
/// may be one of the terms. add, subtract, scale and lerp are cases of it.
struct Term {
    TensorId x;
    float weight = 1;
};
TensorId linear_combination(Graph&, std::span<const Term> terms, TensorId out = {});
/// The same with weights that the host changes between runs: out = sum of params[index + i] * x[i], params f32 in a
/// device buffer. What samplers step with: one recorded program, other coefficients each step.
TensorId linear_combination_by(Graph&, std::span<const TensorId> terms, TensorId params, std::uint32_t index,
                               TensorId out = {});
/// Whether the device has the bindings for eight terms in one dispatch.
bool combines_eight(const Graph&);
TensorId add(Graph&, TensorId a, TensorId b);   ///< activation type, as a residual outside of linear/conv2d

/// y = x + params[index + i] * r for picture i, params f32 in a device buffer that the host changes between runs; in the
/// activation type of both. r has the shape of x, or one picture that all of x get. A weight of 0 leaves x as it is.
TensorId add_by(Graph&, TensorId x, TensorId r, TensorId params, std::uint32_t index);

/// y = x * scale + offset, kept between low and high, f32; numbers of each picture's channels, in a device buffer that the
/// host changes between runs: params f32 {n, 1, 4, c}, rows scale, offset, low and high. `out` may be x.
TensorId affine(Graph&, TensorId x, TensorId params, TensorId out = {});
Shape affine_params_shape(const Shape& x);

/// out = x * params[index], params f32 in a device buffer that the host changes between runs; x f32, output in
/// `dtype`. `repeat` writes the batch that many times (conditional and unconditional from one latent).
TensorId scale_by(Graph&, TensorId x, TensorId params, std::uint32_t index, DType dtype, std::uint32_t repeat = 1);

/// Classifier-free guidance with the denoiser's scalings: both halves of `model_output` (batch 2n: uncond first, then
/// cond) and x {n,…} f32 → denoised = c_skip * x + c_out * (uncond + guidance_scale * (cond - uncond)), f32; with batch
/// n (no guidance) the output is taken as it is. Ho and Salimans 2022, arXiv 2207.12598. c_skip, c_out and
/// guidance_scale are params[index], [index+1], [index+2].
TensorId guide(Graph&, TensorId x, TensorId model_output, TensorId params, std::uint32_t index, TensorId out = {});
/// One half of it alone: c_skip * x + c_out * uncond (half 0) or cond (half 1); params[index + 2] is not looked at.
TensorId guide_half(Graph&, TensorId x, TensorId model_output, std::uint32_t half, TensorId params, std::uint32_t index,
                    TensorId out = {});

/// {n,1,1,dim} f32: cos(t f_i) then sin(t f_i), f_i = 10000^(-i / (dim/2)) (ldm timestep_embedding). `timesteps` holds
/// n f32 values (may be fractional).
TensorId timestep_embedding(Graph&, TensorId timesteps, std::uint32_t n, std::uint32_t dim);

struct EmbeddingOptions {
    const Weight* common = nullptr;  ///< a table whose first row every token gets (BERT's type of token, which is one)
    TensorId more{};                 ///< f32 {1,1,rows,k}: the rows of the tokens from table.n on, vectors of the prompt's own
};
/// Rows of the table for each token, plus the position's row: tokens i32 {n,1,T,1} → {n,1,T,k}.
TensorId embedding(Graph&, TensorId tokens, const Weight& table, const Weight& positions, const EmbeddingOptions& = {});

/// Other element type, same shape.
TensorId cast(Graph&, TensorId x, DType);

/// x * scale + offset clamped to [0, 1], times 255, truncated (as A1111 does) to 8 bits: x {n,h,w,4} → u8 {n,h,w,4}
/// with the fourth byte 255.
TensorId to_image(Graph&, TensorId x, float scale = 0.5f, float offset = 0.5f);
/// u8 {n,h,w,4} → x / 255 * scale + offset in the activation type, fourth channel 0.
TensorId from_image(Graph&, TensorId image, float scale = 2.0f, float offset = -1.0f);

/// NCHW f32 ↔ NHWC f32 (noise and stored latents are NCHW outside).
TensorId nchw_to_nhwc(Graph&, TensorId x, Shape nhwc);
TensorId nhwc_to_nchw(Graph&, TensorId x);

/// Sets `flag` (u32 in a device buffer, i32 {1,1,1,1}) to 1 when any element is NaN or infinite; never clears it.
void check_finite(Graph&, TensorId x, TensorId flag);

/// Partial sums of each picture of x, f32 {n,h,w,c}: four numbers a piece of 4096 elements (their sum, the sum of their
/// squares, the largest absolute value, 0), to be added up in order by the host. Written to `out`, f32 of norms_shape.
void norms(Graph&, TensorId x, TensorId out);
Shape norms_shape(const Shape& x);

/// Standard normal numbers, f32 {n,h,w,c} laid out NHWC but drawn in NCHW order as the CUDA generator does: Philox
/// 4x32-10 (Salmon et al. 2011), key = seed, counter = (offset, 0, element, 0), Box-Muller of the first two words. A
/// picture i of the batch has seed seeds[i].
TensorId random_normal(Graph&, Shape, std::span<const std::uint64_t> seeds, std::uint32_t offset);

/// A weight of blocks as a packed one, {1, 1, k_padded, n_padded} in the activation type: the same f32 operations as
/// core/weights/quantized.hpp, in Precision::exact with the same bits. linear calls it, so that the memory of one
/// layer at a time is taken.
TensorId dequantize(Graph&, const Weight& w);

/// Repacks rows [row0, row0+rows) of a [n][k][kh][kw] tensor, whose bytes lie at the start of `source`, into `w`: of its
/// own type, or f32 that is rounded to it.
void repack(Graph&, TensorId source, DType source_dtype, const Weight& w, std::uint32_t row0, std::uint32_t rows);

/// One adapter's change to rows [row0, row0 + rows) of a weight of m = k * taps columns. Its matrices lie in one tensor of
/// factors, row by row; a, b, c, d and magnitude are where they begin.
struct MergeChange {
    enum class Kind : std::uint8_t {
        low_rank,    ///< a {rows, rank} b {rank, m}
        hadamard,    ///< (a b) times (c {rows, rank2} d {rank2, m}), element by element
        kronecker,   ///< a {rows / b_rows, rank} and b {b_rows, rank2, taps}: each element of a times all of b
        difference,  ///< a {rows, m}
        rows,        ///< the weight times a {rows}
        columns,     ///< the weight times a {k}
    };
    enum class Magnitudes : std::uint8_t { none, rows, channels };  ///< lengths of rows, or of input channels (DoRA)
    Kind kind = Kind::low_rank;
    Magnitudes magnitudes = Magnitudes::none;
    std::uint32_t row0 = 0, rows = 0, taps = 1;
    std::uint32_t a = 0, b = 0, c = 0, d = 0, magnitude = 0;
    std::uint32_t rank = 0, rank2 = 0, b_rows = 0;
    float factor = 1;    ///< of the change
    float strength = 1;  ///< with magnitudes: how far the weight goes towards the changed one; `factor` is without it
};
/// Changes w, f32 {1,1,n,m} in the file's order, in place: shaders/merge.comp has the formulas. Always exact.
void merge(Graph&, TensorId w, TensorId factors, const MergeChange&);

}  // namespace pumice::ops
