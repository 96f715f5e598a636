// A graph with inputs from the host, run once on the shared device, for tests of operators.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/half.hpp"
#include "catch.hpp"
#include "device_fixture.hpp"
#include "graph/program.hpp"
#include "graph/weight.hpp"
#include "vulkan/command.hpp"

namespace pumice::test {

/// Limits that force operators to cut their work. 0: the device's own.
struct Limits {
    std::uint64_t binding_bytes = 0;
    double gflops = 20;  ///< small: short dispatches
    std::uint32_t workgroups = 0;
};

template <class T>
T value_or_fail(Result<T> result) {
    if (!result) FAIL(result.error().message);
    return *std::move(result);
}

class OpTest {
public:
    explicit OpTest(Precision precision, const Limits& limits = {})
        : device_(gpu().device), caps_(limited(limits)), g(caps_, precision, limits.gflops) {}

    TensorId input(const Shape& shape, DType dtype, const std::vector<float>& values) {
        REQUIRE(values.size() == shape.elements());
        return g.external(shape, dtype, upload(encode(values, dtype)));
    }
    /// In the graph's activation type.
    TensorId input(const Shape& shape, const std::vector<float>& values) {
        return input(shape, g.activation(), values);
    }
    TensorId input_bytes(const Shape& shape, DType dtype, std::span<const std::byte> bytes) {
        REQUIRE(bytes.size() == shape.elements() * size_of(dtype));
        return g.external(shape, dtype, upload({bytes.begin(), bytes.end()}));
    }
    template <class T>
    TensorId input_raw(const Shape& shape, DType dtype, const std::vector<T>& values) {
        return input_bytes(shape, dtype, std::as_bytes(std::span(values)));
    }
    Weight vector(const std::vector<float>& values) {
        std::vector<float> padded = values;
        padded.resize((values.size() + 3) / 4 * 4);
        return {"vector",
                upload(encode(padded, DType::f32)),
                DType::f32,
                WeightLayout::vector,
                static_cast<std::uint32_t>(values.size()),
                1,
                1,
                1,
                false};
    }
    Weight table(const std::vector<float>& values, std::uint32_t columns, DType dtype) {
        return {"table",
                upload(encode(values, dtype)),
                dtype,
                WeightLayout::rows,
                static_cast<std::uint32_t>(values.size() / columns),
                columns,
                1,
                1,
                false};
    }

    /// Compiles and runs; `outputs` can be read afterwards.
    void run(std::initializer_list<TensorId> outputs) {
        for (const TensorId id : outputs) {
            if (g.error()) FAIL(g.error()->message);
            if (!g.info(id).external.buffer) g.keep(id);
        }
        program_ = value_or_fail(Program::compile(device_, gpu().kernels, arena_, g));
        again();
    }
    /// Runs once more.
    void again() {
        const Status status = program_->run();
        if (!status) FAIL(status.error().message);
    }
    std::vector<std::byte> bytes(TensorId id) {
        std::vector<std::byte> out(g.info(id).bytes());
        const Status status = read_range(device_, program_->range(id), out);
        if (!status) FAIL(status.error().message);
        return out;
    }
    std::vector<float> floats(TensorId id) { return decode(bytes(id), g.dtype(id)); }
    void write(TensorId id, const std::vector<float>& values) {
        const auto encoded = encode(values, g.dtype(id));
        const Status status = write_range(device_, g.info(id).external, encoded);
        if (!status) FAIL(status.error().message);
    }

    static std::vector<std::byte> encode(const std::vector<float>& values, DType dtype) {
        std::vector<std::byte> out(values.size() * size_of(dtype));
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (dtype == DType::f32) std::memcpy(&out[4 * i], &values[i], 4);
            const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
            if (dtype != DType::f32) std::memcpy(&out[2 * i], &half, 2);
        }
        return out;
    }
    static std::vector<float> decode(const std::vector<std::byte>& bytes, DType dtype) {
        std::vector<float> out(bytes.size() / size_of(dtype));
        for (std::size_t i = 0; i < out.size(); ++i) {
            std::uint16_t half = 0;
            if (dtype == DType::f32)
                std::memcpy(&out[i], &bytes[4 * i], 4);
            else
                std::memcpy(&half, &bytes[2 * i], 2);
            if (dtype == DType::f16) out[i] = f16_to_f32(half);
            if (dtype == DType::bf16) out[i] = bf16_to_f32(half);
        }
        return out;
    }
    /// What is left of the values when stored in this type.
    static std::vector<float> stored(const std::vector<float>& values, DType dtype) {
        return decode(encode(values, dtype), dtype);
    }

private:
    static Capabilities limited(const Limits& limits) {
        Capabilities caps = gpu().device->caps();
        if (limits.binding_bytes) caps.max_storage_buffer_range = limits.binding_bytes;
        if (limits.workgroups) caps.max_workgroup_count[0] = limits.workgroups;
        return caps;
    }
    BufferRange upload(const std::vector<std::byte>& bytes) {
        const std::uint64_t size = (bytes.size() + 255) / 256 * 256;
        BufferRange range{value_or_fail(device_->allocator().create(size, Intent::device, "test input")), 0, size};
        const Status status = write_range(device_, range, bytes);
        if (!status) FAIL(status.error().message);
        return range;
    }

    std::shared_ptr<Device> device_;
    Capabilities caps_;
    Arena arena_;
    std::unique_ptr<Program> program_;

public:
    Graph g;
};

inline std::vector<float> normal_values(std::size_t count, std::uint32_t seed, float scale = 1, float mean = 0) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(mean, scale);
    std::vector<float> values(count);
    for (float& v : values) v = normal(engine);
    return values;
}

/// The same bits, -0 and 0 told apart.
inline void check_same_bits(const std::vector<float>& got, const std::vector<float>& want) {
    REQUIRE(got.size() == want.size());
    std::size_t different = 0, first = got.size();
    for (std::size_t i = got.size(); i-- > 0;)
        if (std::bit_cast<std::uint32_t>(got[i]) != std::bit_cast<std::uint32_t>(want[i])) {
            ++different;
            first = i;
        }
    if (different) {
        INFO("first at " << first << ": " << got[first] << " for " << want[first]);
        CHECK(different == 0);
    } else {
        SUCCEED();
    }
}

/// |got - want| <= absolute + relative |want| everywhere.
inline void check_close(const std::vector<float>& got, const std::vector<double>& want, double absolute,
                        double relative) {
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
    INFO("worst at " << at << ": " << got[at] << " for " << want[at] << ", " << worst << " times the tolerance");
    CHECK(worst <= 1);
}

inline const char* name(Precision p) {
    return p == Precision::exact ? "exact" : p == Precision::fp32 ? "fp32" : "fp16";
}

}  // namespace pumice::test
