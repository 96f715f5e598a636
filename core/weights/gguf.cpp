#include "weights/gguf.hpp"

#include <bit>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pumice {
namespace {

constexpr std::uint64_t kMaxTensors = 100'000, kMaxEntries = 100'000, kMaxAlignment = 1 << 20;
constexpr std::uint32_t kMaxRank = 4;  // ggml's
constexpr std::size_t kMaxNote = 4096;

enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

std::size_t value_size(ValueType type) {
    switch (type) {
        case ValueType::u8:
        case ValueType::i8:
        case ValueType::boolean:
            return 1;
        case ValueType::u16:
        case ValueType::i16:
            return 2;
        case ValueType::u32:
        case ValueType::i32:
        case ValueType::f32:
            return 4;
        case ValueType::u64:
        case ValueType::i64:
        case ValueType::f64:
            return 8;
        default:
            return 0;
    }
}

/// The file from the start on. A function that returns false found its end.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::size_t place() const { return at_; }

    bool number(std::uint64_t& value, std::size_t size) {
        if (bytes_.size() - at_ < size) return false;
        value = 0;
        for (std::size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes_[at_ + i]);
        at_ += size;
        return true;
    }
    bool skip(std::uint64_t size) {
        if (bytes_.size() - at_ < size) return false;
        at_ += static_cast<std::size_t>(size);
        return true;
    }
    bool text(std::string_view& value) {
        std::uint64_t size = 0;
        if (!number(size, 8) || bytes_.size() - at_ < size) return false;
        value = {reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<std::size_t>(size)};
        return skip(size);
    }

private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
};

class Parser {
public:
    Parser(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name), read_(file) {}
    Result<GgufHeader> run();

private:
    Error bad(const std::string& why) const { return {Code::bad_format, name_ + ": " + why}; }
    Error truncated() const {
        return bad(fmt::format("the GGUF header ends at byte {}: the file is truncated", file_.size()));
    }
    Status entry();
    Status value(const std::string& key, ValueType type);
    Status skip_array(const std::string& key);
    Status tensor_info();
    Status place_tensors();

    std::span<const std::byte> file_;
    const std::string& name_;
    Reader read_;
    GgufHeader header_;
    std::vector<std::uint64_t> offsets_;  ///< of each tensor's data from the first's
    std::uint64_t alignment_ = 32;
};

Result<GgufHeader> Parser::run() {
    std::uint64_t version = 0, tensors = 0, entries = 0;
    if (!read_.skip(4) || !read_.number(version, 4)) return truncated();
    if (version != 2 && version != 3)
        return Error{Code::unsupported, fmt::format("{}: GGUF version {}; 2 and 3 can be read", name_, version)};
    if (!read_.number(tensors, 8) || !read_.number(entries, 8)) return truncated();
    if (tensors > kMaxTensors || entries > kMaxEntries)
        return bad(fmt::format("a GGUF header of {} tensors and {} entries", tensors, entries));
    for (std::uint64_t i = 0; i < entries; ++i) PUMICE_TRY(entry());
    for (std::uint64_t i = 0; i < tensors; ++i) PUMICE_TRY(tensor_info());
    PUMICE_TRY(place_tensors());
    return std::move(header_);
}

Status Parser::entry() {
    std::string_view key;
    std::uint64_t type = 0;
    if (!read_.text(key) || !read_.number(type, 4)) return truncated();
    const std::string name(key.substr(0, kMaxNote));
    if (type > static_cast<std::uint32_t>(ValueType::f64))
        return bad(fmt::format("entry '{}' is of the unknown type {}", printable(name), type));
    return value(name, static_cast<ValueType>(type));
}

Status Parser::value(const std::string& key, ValueType type) {
    std::string_view text;
    std::uint64_t bits = 0;
    if (type == ValueType::array) return skip_array(key);
    if (type == ValueType::text) {
        if (!read_.text(text)) return truncated();
        if (text.size() <= kMaxNote) header_.metadata[key] = text;
        return {};
    }
    if (!read_.number(bits, value_size(type))) return truncated();
    if (key == "general.alignment") {
        if (!std::has_single_bit(bits) || bits > kMaxAlignment)
            return bad(fmt::format("general.alignment is {}", bits));
        alignment_ = bits;
    }
    switch (type) {
        case ValueType::f32:
            header_.metadata[key] = fmt::to_string(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
            break;
        case ValueType::f64:
            header_.metadata[key] = fmt::to_string(std::bit_cast<double>(bits));
            break;
        case ValueType::i8:
            header_.metadata[key] = fmt::to_string(static_cast<int>(static_cast<std::int8_t>(bits)));
            break;
        case ValueType::i16:
            header_.metadata[key] = fmt::to_string(static_cast<std::int16_t>(bits));
            break;
        case ValueType::i32:
            header_.metadata[key] = fmt::to_string(static_cast<std::int32_t>(bits));
            break;
        case ValueType::i64:
            header_.metadata[key] = fmt::to_string(static_cast<std::int64_t>(bits));
            break;
        default:
            header_.metadata[key] = fmt::to_string(bits);
    }
    return {};
}

/// Vocabularies and the like, of which a picture needs nothing. No arrays in arrays.
Status Parser::skip_array(const std::string& key) {
    std::uint64_t type = 0, count = 0;
    if (!read_.number(type, 4) || !read_.number(count, 8)) return truncated();
    if (type == static_cast<std::uint32_t>(ValueType::text)) {
        std::string_view ignored;
        for (std::uint64_t i = 0; i < count; ++i)
            if (!read_.text(ignored)) return truncated();
        return {};
    }
    const std::size_t size = type <= 12 ? value_size(static_cast<ValueType>(type)) : 0;
    if (size == 0) return bad(fmt::format("entry '{}' is an array of the unknown type {}", printable(key), type));
    if (count > file_.size() / size || !read_.skip(count * size)) return truncated();
    return {};
}

Status Parser::tensor_info() {
    std::string_view name;
    std::uint64_t rank = 0, type = 0, offset = 0;
    if (!read_.text(name) || !read_.number(rank, 4)) return truncated();
    const auto wrong = [&](const std::string& why) {
        return bad(fmt::format("tensor '{}': {}", printable(name), why));
    };
    if (rank > kMaxRank) return wrong(fmt::format("has {} axes, but GGUF allows {}", rank, kMaxRank));
    StoredTensor tensor;
    tensor.name = name;
    tensor.shape.resize(static_cast<std::size_t>(rank));
    for (std::size_t i = tensor.shape.size(); i-- > 0;)  // the innermost axis comes first
        if (!read_.number(tensor.shape[i], 8)) return truncated();
    if (!read_.number(type, 4) || !read_.number(offset, 8)) return truncated();
    const auto stored = ggml_type(static_cast<std::uint32_t>(type));
    if (!stored)
        return Error{Code::unsupported, fmt::format("{}: tensor '{}' is of ggml's type {}, which cannot be used", name_,
                                                    printable(name), type)};
    tensor.dtype = *stored;
    header_.tensors.push_back(std::move(tensor));
    offsets_.push_back(offset);
    return {};
}

/// The tensors' bytes begin at the next multiple of the alignment.
Status Parser::place_tensors() {
    if (header_.tensors.empty()) return bad("a GGUF file without tensors");
    const std::uint64_t begin = (read_.place() + alignment_ - 1) / alignment_ * alignment_;
    const std::uint64_t size = begin < file_.size() ? file_.size() - begin : 0;
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
        StoredTensor& t = header_.tensors[i];
        const auto bytes = shape_bytes(t.shape, t.dtype);
        if (!bytes)
            return bad(fmt::format("tensor '{}': shape {} cannot be of type {}", printable(t.name),
                                   shape_string(t.shape), to_string(t.dtype)));
        if (offsets_[i] % alignment_ != 0)
            return bad(fmt::format("tensor '{}' is not aligned to {} bytes", printable(t.name), alignment_));
        if (offsets_[i] > size || *bytes > size - offsets_[i])
            return bad(
                fmt::format("tensor '{}' needs {} bytes from byte {} of the data, but there are only {}: the file "
                            "is truncated",
                            printable(t.name), *bytes, offsets_[i], size));
        if (*bytes > 0)
            t.data = file_.subspan(static_cast<std::size_t>(begin + offsets_[i]), static_cast<std::size_t>(*bytes));
    }
    return {};
}

}  // namespace

std::optional<StoredType> ggml_type(std::uint32_t number) {
    switch (number) {
        case 0:
            return StoredType::f32;
        case 1:
            return StoredType::f16;
        case 2:
            return StoredType::q4_0;
        case 3:
            return StoredType::q4_1;
        case 6:
            return StoredType::q5_0;
        case 7:
            return StoredType::q5_1;
        case 8:
            return StoredType::q8_0;
        case 10:
            return StoredType::q2_k;
        case 11:
            return StoredType::q3_k;
        case 12:
            return StoredType::q4_k;
        case 13:
            return StoredType::q5_k;
        case 14:
            return StoredType::q6_k;
        case 24:
            return StoredType::i8;
        case 25:
            return StoredType::i16;
        case 26:
            return StoredType::i32;
        case 27:
            return StoredType::i64;
        case 28:
            return StoredType::f64;
        case 30:
            return StoredType::bf16;
        default:
            return std::nullopt;
    }
}

bool is_gguf(std::span<const std::byte> file) {
    return file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) == 0;
}

Result<GgufHeader> parse_gguf(std::span<const std::byte> file, const std::string& file_name) {
    return Parser(file, file_name).run();
}

Result<WeightFile> open_gguf(std::shared_ptr<const MappedFile> file) {
    PUMICE_ASSIGN(GgufHeader header, parse_gguf(file->bytes(), file->path().string()));
    WeightContents contents{FileFormat::gguf,          file->path(), std::move(header.metadata),
                            std::move(header.tensors), {},           {}};
    contents.files.push_back(std::move(file));
    return WeightFile::create(std::move(contents));
}

}  // namespace pumice
