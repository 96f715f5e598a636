#include "weights/output_model.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/half.hpp"
#include "weights/quantized.hpp"

namespace pumice {
namespace {

constexpr std::size_t kPiece = std::size_t(4) << 20;

std::uint64_t count_of(const std::vector<std::uint64_t>& shape) {
    std::uint64_t n = 1;
    for (const std::uint64_t s : shape) n *= s;
    return n;
}

template <class T>
void store(std::span<std::byte> to, std::size_t i, T value) {
    std::memcpy(to.data() + i * sizeof(T), &value, sizeof(T));
}

/// The largest magnitude that a value may have to stay finite; for blocks that of their scale, a half.
float limit_of(StoredType type) {
    switch (type) {
        case StoredType::f32:
        case StoredType::f64:
        case StoredType::bf16:
            return std::numeric_limits<float>::max();
        case StoredType::f8_e4m3:
            return 448;
        case StoredType::f8_e5m2:
            return 57344;
        default:
            return 65504;
    }
}

/// Whole elements or blocks.
void encode(StoredType type, std::span<const float> values, std::span<std::byte> to) {
    if (is_quantized(type)) {
        const std::size_t elements = block_elements(type), bytes = size_of(type);
        for (std::size_t i = 0; i * bytes < to.size(); ++i)
            quantize_block(type, values.subspan(i * elements, elements), to.subspan(i * bytes, bytes));
        return;
    }
    const auto each = [&](auto convert) {
        for (std::size_t i = 0; i < values.size(); ++i) store(to, i, convert(values[i]));
    };
    switch (type) {
        case StoredType::f64:
            return each([](float v) { return static_cast<double>(v); });
        case StoredType::f16:
            return each(f32_to_f16);
        case StoredType::bf16:
            return each(f32_to_bf16);
        case StoredType::f8_e4m3:
            return each(f32_to_f8_e4m3);
        case StoredType::f8_e5m2:
            return each(f32_to_f8_e5m2);
        default:
            return each([](float v) { return v; });
    }
}

/// What of the values the type cannot hold.
Status check_range(const std::string& name, StoredType type, std::span<const float> values) {
    const float limit = limit_of(type);
    const bool blocks = is_quantized(type);
    for (const float v : values) {
        if (std::abs(v) <= limit) continue;  // not for NaN
        if (blocks && !std::isfinite(v))
            return Error{Code::not_finite,
                         fmt::format("tensor '{}' has a value that is not finite, which {} cannot hold",
                                     printable(name), to_string(type))};
        if (std::isfinite(v))
            return Error{Code::unsupported,
                         fmt::format("tensor '{}' has the value {}, beyond the range of {}; choose bf16 or fp32",
                                     printable(name), v, to_string(type))};
    }
    return {};
}

}  // namespace

std::uint64_t OutputTensor::element_count() const {
    return count_of(shape);
}

std::uint64_t OutputTensor::byte_count() const {
    return element_count() / block_elements(dtype) * size_of(dtype);
}

std::uint64_t OutputModel::byte_count() const {
    std::uint64_t sum = 0;
    for (const OutputTensor& t : tensors) sum += t.byte_count();
    return sum;
}

bool is_float(StoredType type) {
    switch (type) {
        case StoredType::f64:
        case StoredType::f32:
        case StoredType::f16:
        case StoredType::bf16:
        case StoredType::f8_e4m3:
        case StoredType::f8_e5m2:
            return true;
        default:
            return is_quantized(type);
    }
}

OutputTensor copied(const WeightFile& file, const StoredTensor& t) {
    OutputTensor out{t.name, t.dtype, t.shape, {}, {}};
    out.elements = [file, t](std::uint64_t first, std::span<float> to) -> Status {
        read_f32(t, first, to);
        const std::uint64_t n = block_elements(t.dtype), bytes = size_of(t.dtype);
        const std::uint64_t begin = first / n * bytes, end = (first + to.size()) / n * bytes;
        file.done_with(t.data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
        return {};
    };
    out.bytes = [file, t](std::uint64_t begin, std::span<std::byte> to) -> Status {
        const auto part = t.data.subspan(static_cast<std::size_t>(begin), to.size());
        std::copy(part.begin(), part.end(), to.begin());
        file.done_with(part);
        return {};
    };
    return out;
}

OutputTensor made(std::string name, StoredType type, std::vector<std::uint64_t> shape, ReadElements elements) {
    OutputTensor out{std::move(name), type, std::move(shape), std::move(elements), {}};
    out.bytes = [type, title = out.name, read = out.elements](std::uint64_t begin, std::span<std::byte> to) -> Status {
        const std::uint64_t first = begin / size_of(type) * block_elements(type);
        std::vector<float> values(to.size() / size_of(type) * block_elements(type));
        PUMICE_TRY(read(first, values));
        PUMICE_TRY(check_range(title, type, values));
        encode(type, values, to);
        return {};
    };
    return out;
}

OutputTensor retyped(const OutputTensor& t, StoredType type) {
    return t.dtype == type ? t : made(t.name, type, t.shape, t.elements);
}

Status append_tensor(NewFile& file, const OutputTensor& t, const OnWritten& on_written) {
    const std::uint64_t total = t.byte_count();
    // Of 4-byte elements, so that the floats a piece is made of are few, too.
    const std::size_t whole = kPiece / 4 / block_elements(t.dtype) * size_of(t.dtype);
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(total, whole)));
    for (std::uint64_t begin = 0; begin < total; begin += piece.size()) {
        const std::span<std::byte> now(piece.data(),
                                       static_cast<std::size_t>(std::min<std::uint64_t>(total - begin, whole)));
        PUMICE_TRY(t.bytes(begin, now));
        PUMICE_TRY(file.write(now));
        if (on_written) PUMICE_TRY(on_written(now.size()));
    }
    return {};
}

}  // namespace pumice
