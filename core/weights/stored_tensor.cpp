#include "weights/stored_tensor.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

#include "base/half.hpp"
#include "weights/quantized.hpp"

namespace pumice {
namespace {

constexpr std::size_t kMaxPrinted = 160;

struct TypeRow {
    StoredType type;
    const char* name;
    std::size_t size;
    std::size_t elements = 1;
};
constexpr TypeRow kTypes[] = {
    {StoredType::f64, "F64", 8},
    {StoredType::f32, "F32", 4},
    {StoredType::f16, "F16", 2},
    {StoredType::bf16, "BF16", 2},
    {StoredType::f8_e4m3, "F8_E4M3", 1},
    {StoredType::f8_e5m2, "F8_E5M2", 1},
    {StoredType::f8_e8m0, "F8_E8M0", 1},
    {StoredType::i64, "I64", 8},
    {StoredType::i32, "I32", 4},
    {StoredType::i16, "I16", 2},
    {StoredType::i8, "I8", 1},
    {StoredType::u64, "U64", 8},
    {StoredType::u32, "U32", 4},
    {StoredType::u16, "U16", 2},
    {StoredType::u8, "U8", 1},
    {StoredType::boolean, "BOOL", 1},
    {StoredType::q4_0, "Q4_0", 18, 32},
    {StoredType::q4_1, "Q4_1", 20, 32},
    {StoredType::q5_0, "Q5_0", 22, 32},
    {StoredType::q5_1, "Q5_1", 24, 32},
    {StoredType::q8_0, "Q8_0", 34, 32},
    {StoredType::q2_k, "Q2_K", 84, 256},
    {StoredType::q3_k, "Q3_K", 110, 256},
    {StoredType::q4_k, "Q4_K", 144, 256},
    {StoredType::q5_k, "Q5_K", 176, 256},
    {StoredType::q6_k, "Q6_K", 210, 256},
};

const TypeRow& row(StoredType type) {
    return *std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& r) { return r.type == type; });
}

/// Element i of bytes of any alignment.
template <class T>
T element(std::span<const std::byte> data, std::uint64_t i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    return value;
}

template <class T, class Convert>
void read_all(std::span<const std::byte> data, std::uint64_t first, std::span<float> to, Convert convert) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = convert(element<T>(data, first + i));
}

template <class T>
void read_numbers(std::span<const std::byte> data, std::uint64_t first, std::span<float> to) {
    read_all<T>(data, first, to, [](T v) { return static_cast<float>(v); });
}

void read_elements(const StoredTensor& t, std::uint64_t first, std::span<float> to) {
    switch (t.dtype) {
        case StoredType::f64:
            return read_numbers<double>(t.data, first, to);
        case StoredType::f32:
            return read_numbers<float>(t.data, first, to);
        case StoredType::f16:
            return read_all<std::uint16_t>(t.data, first, to, f16_to_f32);
        case StoredType::bf16:
            return read_all<std::uint16_t>(t.data, first, to, bf16_to_f32);
        case StoredType::f8_e4m3:
            return read_all<std::uint8_t>(t.data, first, to, f8_e4m3_to_f32);
        case StoredType::f8_e5m2:
            return read_all<std::uint8_t>(t.data, first, to, f8_e5m2_to_f32);
        case StoredType::i64:
            return read_numbers<std::int64_t>(t.data, first, to);
        case StoredType::i32:
            return read_numbers<std::int32_t>(t.data, first, to);
        case StoredType::i16:
            return read_numbers<std::int16_t>(t.data, first, to);
        case StoredType::i8:
            return read_numbers<std::int8_t>(t.data, first, to);
        case StoredType::u64:
            return read_numbers<std::uint64_t>(t.data, first, to);
        case StoredType::u32:
            return read_numbers<std::uint32_t>(t.data, first, to);
        case StoredType::u16:
            return read_numbers<std::uint16_t>(t.data, first, to);
        default:
            return read_numbers<std::uint8_t>(t.data, first, to);
    }
}

}  // namespace

void read_f32(const StoredTensor& t, std::uint64_t first, std::span<float> to) {
    const std::size_t elements = block_elements(t.dtype), bytes = size_of(t.dtype);
    if (elements == 1) return read_elements(t, first, to);
    std::array<float, 256> block;
    for (std::size_t i = 0; i < to.size();) {
        const std::uint64_t at = first + i, inside = at % elements;
        dequantize_block(t.dtype, t.data.subspan(static_cast<std::size_t>(at / elements * bytes), bytes), block);
        const std::size_t n = std::min<std::size_t>(to.size() - i, elements - inside);
        std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(inside), n,
                    to.begin() + static_cast<std::ptrdiff_t>(i));
        i += n;
    }
}

std::size_t block_elements(StoredType type) {
    return row(type).elements;
}

std::size_t size_of(StoredType type) {
    return row(type).size;
}

const char* to_string(StoredType type) {
    return row(type).name;
}

std::optional<StoredType> stored_type(std::string_view name) {
    for (const TypeRow& r : kTypes)
        if (name == r.name && r.elements == 1) return r.type;
    return std::nullopt;
}

std::optional<std::uint64_t> shape_bytes(std::span<const std::uint64_t> shape, StoredType type) {
    if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) return 0;
    // ggml has no block that spans rows.
    if (is_quantized(type) && (shape.empty() || shape.back() % block_elements(type) != 0)) return std::nullopt;
    std::uint64_t bytes = 1;
    for (const std::uint64_t n : shape)
        if (__builtin_mul_overflow(bytes, n, &bytes)) return std::nullopt;
    if (__builtin_mul_overflow(bytes / block_elements(type), size_of(type), &bytes)) return std::nullopt;
    return bytes;
}

std::string shape_string(std::span<const std::uint64_t> shape) {
    return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

std::string printable(std::string_view text) {
    std::string line(text);
    if (text.size() > kMaxPrinted) {
        const auto inside = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80; };
        std::size_t head = kMaxPrinted / 2, tail = text.size() - kMaxPrinted / 2;
        while (head > 0 && inside(head)) --head;  // no UTF-8 character is cut
        while (tail < text.size() && inside(tail)) ++tail;
        line = std::string(text.substr(0, head)) + "..." + std::string(text.substr(tail));
    }
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return line;
}

}  // namespace pumice
