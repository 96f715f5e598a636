#include <array>
#include <cmath>
#include <cstring>

#include "base/half.hpp"
#include "cases.hpp"
#include "vulkan/command.hpp"

namespace pumice::bench {
namespace {

std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/// Numbers of about standard deviation 1 that fp16 holds: sums of four uniform ones.
std::uint16_t random_half(std::uint64_t bits, float scale) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>((bits >> (16 * i)) & 0xffff) / 65536.0f - 0.5f;
    return f32_to_f16(sum * 1.7320508f * scale);
}

/// Kept as a table: a picture's activations are tens of millions of values.
std::vector<std::uint16_t> half_table(float scale) {
    std::vector<std::uint16_t> table(1 << 14);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = random_half(mix((i + 1) * 0x9E3779B97F4A7C15u), scale);
    return table;
}

void fill_random(std::vector<std::byte>& to, DType type, float scale, std::uint64_t seed) {
    const auto table = half_table(scale);
    const std::size_t size = size_of(type), count = to.size() / size;
    std::uint64_t state = mix(seed + 1), draw = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (i % 4 == 0) draw = mix(state += 0x9E3779B97F4A7C15u);
        const std::uint16_t half = table[(draw >> (16 * (i % 4))) & (table.size() - 1)];
        const float value = f16_to_f32(half);
        if (size == 2)
            std::memcpy(&to[2 * i], &half, 2);
        else
            std::memcpy(&to[4 * i], &value, 4);
    }
}

}  // namespace

BufferRange Inputs::range(Graph* g, std::uint64_t bytes, DType type, const Fill& fill) {
    const std::uint32_t which = next_++;
    if (which == 0) made_bytes_ = 0;
    made_bytes_ += bytes;
    const auto placed = made_.try_emplace({which, type});
    const auto at = placed.first;  // not a structured binding: Clang 14 cannot capture one
    if (!placed.second) return at->second;
    const auto failed = [&](Error error) {
        made_.erase(at);
        if (g) g->fail(error);
        return BufferRange{};
    };
    auto buffer = device_->allocator().create(bytes, Intent::device, "benchmark operand");
    if (!buffer) return failed(std::move(buffer.error()));
    at->second = {*buffer, 0, bytes};
    std::vector<std::byte> values(bytes);
    fill(values, which);
    if (Status written = write_range(device_, at->second, values); !written) return failed(std::move(written.error()));
    return at->second;
}

TensorId Inputs::tensor(Graph& g, Shape shape, DType type, float scale) {
    const BufferRange where = range(&g, shape.elements() * size_of(type), type,
                                    [&](auto& to, std::uint64_t seed) { fill_random(to, type, scale, seed); });
    return where.buffer ? g.external(shape, type, where) : TensorId{};
}

TensorId Inputs::bytes(Graph& g, Shape shape) {
    const BufferRange where = range(&g, shape.elements(), DType::u8, [](auto& to, std::uint64_t seed) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::byte>(mix(seed + i) & 0xff);
    });
    return where.buffer ? g.external(shape, DType::u8, where) : TensorId{};
}

TensorId Inputs::integers(Graph& g, Shape shape, std::int32_t below) {
    const BufferRange where = range(&g, shape.elements() * 4, DType::i32, [&](auto& to, std::uint64_t seed) {
        for (std::size_t i = 0; i < to.size() / 4; ++i) {
            const auto value = static_cast<std::int32_t>(mix(seed + i) % static_cast<std::uint32_t>(below));
            std::memcpy(&to[4 * i], &value, 4);
        }
    });
    return where.buffer ? g.external(shape, DType::i32, where) : TensorId{};
}

TensorId Inputs::zeros(Graph& g, Shape shape, DType type) {
    const BufferRange where = range(&g, shape.elements() * size_of(type), type, [](auto&, std::uint64_t) {});
    return where.buffer ? g.external(shape, type, where) : TensorId{};
}

Weight Inputs::weight(std::uint32_t n, std::uint32_t k, std::uint32_t kernel, bool geglu) {
    Weight w;
    w.name = "weight";
    w.dtype = DType::f16;
    w.n = n, w.k = k, w.kernel_h = kernel, w.kernel_w = kernel, w.geglu = geglu;
    const std::uint64_t elements = std::uint64_t(w.taps()) * w.k_padded() * w.n_padded();
    const float scale = 1 / std::sqrt(static_cast<float>(k * w.taps()));  // outputs of about 1, whatever the size
    w.range = range(nullptr, elements * 2, DType::f16, [&](auto& to, std::uint64_t seed) {
        fill_random(to, DType::f16, scale, seed);
        // What pads k must be zero: an activation's padding need not be.
        for (std::uint64_t i = 0; i < elements; ++i)
            if ((i / 4 / w.n_padded() % (w.k_padded() / 4)) * 4 + i % 4 >= k) std::memset(&to[2 * i], 0, 2);
    });
    return w;
}

Weight Inputs::blocks(std::uint32_t n, std::uint32_t k) {
    Weight w;
    w.name = "blocks";
    w.dtype = DType::f16, w.n = n, w.k = k, w.blocks = Blocks::q8_0;
    w.range = range(nullptr, n * w.row_bytes(), DType::u8, [&](auto& to, std::uint64_t seed) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::byte>(mix(seed + i) & 0xff);
        const std::uint16_t scale = f32_to_f16(0x1p-7f);  // of each block: values of about 1
        for (std::size_t i = 0; i < to.size(); i += block_bytes(w.blocks)) std::memcpy(&to[i], &scale, 2);
    });
    return w;
}

Weight Inputs::table(std::uint32_t n, std::uint32_t k, std::uint32_t rows_read) {
    Weight w;
    w.name = "table";
    w.dtype = DType::f16, w.layout = WeightLayout::rows, w.n = n, w.k = k;
    w.range = range(nullptr, std::uint64_t(n) * k * 2, DType::f16,
                    [&](auto& to, std::uint64_t seed) { fill_random(to, DType::f16, 1, seed); });
    made_bytes_ -= std::uint64_t(n - rows_read) * k * 2;
    return w;
}

Weight Inputs::vector(std::uint32_t n, float scale) {
    Weight w;
    w.name = "vector";
    w.dtype = DType::f32, w.layout = WeightLayout::vector, w.n = n, w.k = 1;
    w.range = range(nullptr, w.n_padded() * 4, DType::f32,
                    [&](auto& to, std::uint64_t seed) { fill_random(to, DType::f32, scale, seed); });
    return w;
}

}  // namespace pumice::bench
