// Runs a few operators on the test device: host values in, host values out. A failure of the engine fails the test.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/half.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"
#include "graph/graph.hpp"
#include "graph/program.hpp"
#include "graph/weight.hpp"
#include "vulkan/command.hpp"

namespace pumice::test {

/// Numbers in [-1, 1) that fill the mantissa, the same in every run.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    float value() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }
    std::vector<float> values(std::uint64_t count, float scale = 1) {
        std::vector<float> v(count);
        for (float& x : v) x = value() * scale;
        return v;
    }

private:
    std::uint64_t state_;
};

/// The value that is left when `v` is stored as `type`.
inline float stored(float v, DType type) {
    if (type == DType::f16) return f16_to_f32(f32_to_f16(v));
    if (type == DType::bf16) return bf16_to_f32(f32_to_bf16(v));
    return v;
}
inline std::vector<float> stored(std::vector<float> v, DType type) {
    for (float& x : v) x = stored(x, type);
    return v;
}

inline std::vector<std::byte> to_bytes(std::span<const float> v, DType type) {
    std::vector<std::byte> bytes(v.size() * size_of(type));
    for (std::size_t i = 0; i < v.size(); ++i) {
        const std::uint16_t half = type == DType::f16 ? f32_to_f16(v[i]) : f32_to_bf16(v[i]);
        if (type == DType::f32)
            std::memcpy(&bytes[4 * i], &v[i], 4);
        else
            std::memcpy(&bytes[2 * i], &half, 2);
    }
    return bytes;
}

inline std::vector<float> to_floats(std::span<const std::byte> bytes, DType type) {
    std::vector<float> v(bytes.size() / size_of(type));
    for (std::size_t i = 0; i < v.size(); ++i) {
        std::uint16_t half = 0;
        if (type == DType::f32)
            std::memcpy(&v[i], &bytes[4 * i], 4);
        else
            std::memcpy(&half, &bytes[2 * i], 2);
        if (type == DType::f16) v[i] = f16_to_f32(half);
        if (type == DType::bf16) v[i] = bf16_to_f32(half);
    }
    return v;
}

template <class T>
T need(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
}
inline void need(Status status) {
    if (!status) throw std::runtime_error(status.error().message);
}

/// Limits that force operators to cut their work. 0: the device's own.
struct Limits {
    std::uint64_t binding_bytes = 0;
    double gflops = 1000;  ///< small: short dispatches
    std::uint32_t workgroups = 0;
};

/// One graph and what it reads.
class OperatorRun {
public:
    explicit OperatorRun(Precision precision, const Limits& limits = {})
        : OperatorRun(precision, limited(limits), limits.gflops) {}
    /// Planned for other limits than the device's (which must be stricter), and for another speed.
    OperatorRun(Precision precision, const Capabilities& caps, double assumed_gflops = 1000)
        : caps_(std::make_unique<Capabilities>(caps)), graph(*caps_, precision, assumed_gflops) {}

    static BufferRange upload(std::span<const std::byte> bytes) {
        const std::uint64_t size = (bytes.size() + 15) / 16 * 16;
        BufferRange range{need(gpu().device->allocator().create(size, Intent::device, "test")), 0, bytes.size()};
        need(write_range(gpu().device, range, bytes));
        return range;
    }
    TensorId input(Shape shape, DType type, const std::vector<float>& values) {
        return input_bytes(shape, type, to_bytes(values, type));
    }
    /// In the graph's activation type.
    TensorId input(Shape shape, const std::vector<float>& values) { return input(shape, graph.activation(), values); }
    TensorId input_bytes(Shape shape, DType type, std::span<const std::byte> bytes) {
        REQUIRE(bytes.size() == shape.elements() * size_of(type));
        return graph.external(shape, type, upload(bytes), "input");
    }
    template <class T>
    TensorId input_raw(Shape shape, DType type, const std::vector<T>& values) {
        return input_bytes(shape, type, std::as_bytes(std::span(values)));
    }

    /// Compiles and runs; `outputs` can be read afterwards.
    void run(std::initializer_list<TensorId> outputs) {
        if (graph.error()) throw std::runtime_error(graph.error()->message);
        for (const TensorId id : outputs)
            if (!graph.info(id).external.buffer) graph.keep(id);
        program_ = need(Program::compile(gpu().device, gpu().kernels, arena_, graph));
        again();
    }
    std::vector<float> run(TensorId y) {
        run({y});
        return floats(y);
    }
    /// Runs once more.
    void again() { need(program_->run()); }

    std::vector<std::byte> bytes(TensorId id) {
        std::vector<std::byte> out(graph.info(id).bytes());
        need(read_range(gpu().device, program_->range(id), out));
        return out;
    }
    std::vector<float> floats(TensorId id) { return to_floats(bytes(id), graph.dtype(id)); }
    void write(TensorId id, const std::vector<float>& values) {
        need(write_range(gpu().device, graph.info(id).external, to_bytes(values, graph.dtype(id))));
    }
    std::size_t dispatches() const { return program_->dispatch_count(); }

private:
    static Capabilities limited(const Limits& limits) {
        Capabilities caps = gpu().device->caps();
        if (limits.binding_bytes) caps.max_storage_buffer_range = limits.binding_bytes;
        if (limits.workgroups) caps.max_workgroup_count[0] = limits.workgroups;
        return caps;
    }

    std::unique_ptr<Capabilities> caps_;
    Arena arena_;
    std::unique_ptr<Program> program_;

public:
    Graph graph;
};

/// A weight in file order [n][k][kh][kw], as it is after storage, and its packed form (graph/weight.hpp).
struct HostWeight {
    std::uint32_t n, k, kernel_h = 1, kernel_w = 1;
    DType dtype = DType::f32;
    bool geglu = false;
    std::vector<float> values;

    static HostWeight random(std::uint32_t n, std::uint32_t k, std::uint32_t kernel_h, std::uint32_t kernel_w,
                             DType type, Random& random, bool geglu = false) {
        HostWeight w{n, k, kernel_h, kernel_w, type, geglu, {}};
        const std::uint64_t fan_in = std::uint64_t(k) * kernel_h * kernel_w;
        // Outputs of about 1, whatever the size.
        w.values = stored(random.values(n * fan_in, 3.0f / std::sqrt(static_cast<float>(fan_in))), type);
        return w;
    }
    std::uint32_t taps() const { return kernel_h * kernel_w; }
    float at(std::uint32_t row, std::uint32_t channel, std::uint32_t tap) const {
        return values[(std::uint64_t(row) * k + channel) * taps() + tap];
    }
    /// The row of the file that stands in column `c`.
    std::uint32_t row_of_column(std::uint32_t c) const {
        if (!geglu) return c;
        return c % 4 / 2 * (n / 2) + c / 4 * 2 + c % 2;
    }
    Weight describe() const {
        Weight w;
        w.name = "weight";
        w.dtype = dtype;
        w.n = n, w.k = k, w.kernel_h = kernel_h, w.kernel_w = kernel_w, w.geglu = geglu;
        return w;
    }
    std::vector<std::byte> packed() const {
        const Weight w = describe();
        std::vector<float> out(std::uint64_t(taps()) * w.k_padded() * w.n_padded());
        for (std::uint32_t tap = 0; tap < taps(); ++tap)
            for (std::uint32_t c = 0; c < n; ++c)
                for (std::uint32_t i = 0; i < k; ++i)
                    out[((std::uint64_t(tap) * w.k_padded() / 4 + i / 4) * w.n_padded() + c) * 4 + i % 4] =
                        at(row_of_column(c), i, tap);
        return to_bytes(out, dtype);
    }
    Weight on_device() const {
        Weight w = describe();
        w.range = OperatorRun::upload(packed());
        return w;
    }
};

/// A vector on the device (bias), in column order, padded.
inline Weight device_vector(const std::vector<float>& values) {
    Weight w;
    w.name = "bias";
    w.layout = WeightLayout::vector;
    w.n = static_cast<std::uint32_t>(values.size()), w.k = 1;
    std::vector<float> padded(values.begin(), values.end());
    padded.resize(w.n_padded());
    w.range = OperatorRun::upload(to_bytes(padded, DType::f32));
    return w;
}

/// A table of rows on the device (embedding).
inline Weight device_table(std::span<const float> values, std::uint32_t columns, DType type) {
    Weight w;
    w.name = "table";
    w.layout = WeightLayout::rows;
    w.dtype = type;
    w.n = static_cast<std::uint32_t>(values.size() / columns), w.k = columns;
    w.range = OperatorRun::upload(to_bytes(values, type));
    return w;
}

inline std::vector<float> normal_values(std::size_t count, std::uint32_t seed, float scale = 1, float mean = 0) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(mean, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(engine);
    return values;
}

/// The largest error, relative to the value but at least to the values' root mean square: a sum that cancels has the
/// error of its terms.
inline double relative_error(std::span<const float> got, std::span<const double> wanted) {
    REQUIRE(got.size() == wanted.size());
    double square = 0, worst = 0;
    for (const double v : wanted) square += v * v;
    const double rms = std::sqrt(square / static_cast<double>(std::max<std::size_t>(1, wanted.size())));
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double error = std::fabs(got[i] - wanted[i]) / std::max({std::fabs(wanted[i]), rms, 1e-30});
        worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
    }
    return worst;
}

/// Elements whose bits differ; the first is described in the message.
inline std::string different_bits(std::span<const float> got, std::span<const float> wanted) {
    if (got.size() != wanted.size()) return "sizes differ";
    std::size_t count = 0, first = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        if (std::bit_cast<std::uint32_t>(got[i]) != std::bit_cast<std::uint32_t>(wanted[i]) && count++ == 0) first = i;
    if (count == 0) return {};
    return std::to_string(count) + " of " + std::to_string(got.size()) + " differ, first at " + std::to_string(first) +
           ": " + std::to_string(got[first]) + " instead of " + std::to_string(wanted[first]);
}

/// The same bits, -0 and 0 told apart.
inline void check_same_bits(std::span<const float> got, std::span<const float> want) {
    CHECK(different_bits(got, want) == "");
}

/// |got - want| <= absolute + relative |want| everywhere.
inline void check_close(std::span<const float> got, std::span<const double> want, double absolute, double relative) {
    REQUIRE(got.size() == want.size());
    double worst = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double excess = std::fabs(got[i] - want[i]) / (absolute + relative * std::fabs(want[i]));
        if (!(excess <= worst)) {  // catches NaN
            worst = excess;
            at = i;
        }
    }
    INFO("worst at " << at << ": " << (got.empty() ? 0 : got[at]) << ", " << worst << " times the tolerance");
    CHECK(worst <= 1);
}

inline const char* name(Precision p) {
    return p == Precision::exact ? "exact" : p == Precision::fp32 ? "fp32" : "fp16";
}

}  // namespace pumice::test
