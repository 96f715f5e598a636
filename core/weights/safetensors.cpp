#include "weights/safetensors.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pumice {
namespace {

// The reference implementation's limit; a full SD checkpoint has 0.15 MB.
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxRank = 8;

/// A tensor as the header states it, before anything is checked against the file.
struct Entry {
    std::string name, dtype;
    std::vector<std::uint64_t> shape, offsets;
    bool has_dtype = false, has_shape = false, has_offsets = false;
};

using Json = nlohmann::json;

/// Receives the header's JSON event by event: unlike a parsed document it shows duplicate keys, and the nesting that
/// it follows is no deeper than the format's. A function that returns false ends the parse; `problem` then says why.
class HeaderReader : public nlohmann::json_sax<Json> {
public:
    std::vector<Entry> entries;
    std::map<std::string, std::string> metadata;
    std::string problem;

    bool start_object(std::size_t) override {
        if (depth_ == 0) return enter();
        if (depth_ != 1) return unexpected("an object");
        if (in_metadata_) {
            if (std::exchange(has_metadata_, true)) return fail("__metadata__ occurs twice");
        } else {
            entries.push_back({});
            entries.back().name = key_;
        }
        return enter();
    }
    bool end_object() override {
        --depth_;
        return true;
    }
    bool key(string_t& name) override {
        key_ = name;
        if (depth_ == 1) in_metadata_ = name == "__metadata__";
        return true;
    }
    bool string(string_t& text) override {
        if (depth_ == 2 && in_metadata_) {
            if (metadata.emplace(key_, text).second) return true;
            return fail(fmt::format("__metadata__ has the key '{}' twice", printable(key_)));
        }
        if (depth_ != 2 || key_ != "dtype") return unexpected("a string");
        if (std::exchange(entries.back().has_dtype, true)) return twice();
        entries.back().dtype = text;
        return true;
    }
    bool start_array(std::size_t) override {
        if (depth_ != 2 || in_metadata_) return unexpected("an array");
        Entry& e = entries.back();
        if (key_ != "shape" && key_ != "data_offsets") return unexpected("an array");
        if (std::exchange(key_ == "shape" ? e.has_shape : e.has_offsets, true)) return twice();
        numbers_ = key_ == "shape" ? &e.shape : &e.offsets;
        return enter();
    }
    bool end_array() override {
        --depth_;
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (depth_ != 3) return unexpected("a number");
        if (numbers_->size() == kMaxRank) return fail(in(fmt::format("{} has more than {} numbers", key_, kMaxRank)));
        numbers_->push_back(value);
        return true;
    }
    bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
    bool number_float(number_float_t, const string_t&) override {
        return unexpected("a fraction or a number beyond 64 bits");
    }
    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("a boolean"); }
    bool binary(binary_t&) override { return unexpected("binary data"); }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail(fmt::format("the header is not valid JSON at its byte {}", position));
    }

private:
    bool enter() {
        ++depth_;
        return true;
    }
    bool fail(std::string why) {
        problem = std::move(why);
        return false;
    }
    bool twice() { return fail(in(fmt::format("{} occurs twice", printable(key_)))); }
    bool unexpected(const char* what) {
        if (depth_ == 0) return fail(fmt::format("the header is {} where an object is needed", what));
        if (depth_ == 1) return fail(fmt::format("'{}' in the header is {}", printable(key_), what));
        if (in_metadata_) return fail(fmt::format("__metadata__ '{}' is {}", printable(key_), what));
        return fail(in(fmt::format("{} has {}", printable(key_), what)));
    }
    std::string in(const std::string& what) const {
        return fmt::format("tensor '{}': {}", printable(entries.back().name), what);
    }

    int depth_ = 0;
    bool in_metadata_ = false, has_metadata_ = false;
    std::string key_;
    std::vector<std::uint64_t>* numbers_ = nullptr;
};

/// What is wrong with one entry on its own; empty: nothing.
std::string check_entry(const Entry& e, std::uint64_t data_size) {
    if (!e.has_dtype) return "dtype is missing";
    if (!e.has_shape) return "shape is missing";
    if (!e.has_offsets) return "data_offsets is missing";
    const auto type = stored_type(e.dtype);
    if (!type) return fmt::format("unknown dtype '{}'", printable(e.dtype));
    if (e.offsets.size() != 2) return fmt::format("data_offsets has {} numbers instead of 2", e.offsets.size());
    const auto bytes = shape_bytes(e.shape, *type);
    if (!bytes) return fmt::format("shape {} overflows", shape_string(e.shape));
    const std::uint64_t begin = e.offsets[0], end = e.offsets[1];
    if (begin > end) return fmt::format("data_offsets [{}, {}] end before they begin", begin, end);
    if (end - begin != *bytes)
        return fmt::format("shape {} of {} is {} bytes, but data_offsets span {}", shape_string(e.shape), e.dtype,
                           *bytes, end - begin);
    if (end > data_size)
        return fmt::format("ends at byte {} of the data, but the file has only {}: it is truncated", end, data_size);
    return {};
}

/// What is wrong with the entries together: names, gaps and overlaps. Sorts them by place.
std::string check_layout(std::vector<Entry>& entries, std::uint64_t data_size) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    const auto same = std::adjacent_find(entries.begin(), entries.end(),
                                         [](const Entry& a, const Entry& b) { return a.name == b.name; });
    if (same != entries.end()) return fmt::format("tensor '{}' occurs twice", printable(same->name));
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
    std::uint64_t place = 0;
    const Entry* before = nullptr;
    for (const Entry& e : entries) {
        if (e.offsets[0] > place)
            return fmt::format("tensor '{}': {} bytes before it belong to no tensor", printable(e.name),
                               e.offsets[0] - place);
        if (e.offsets[0] < place)
            return fmt::format("tensor '{}' overlaps tensor '{}'", printable(e.name), printable(before->name));
        place = e.offsets[1];
        before = &e;
    }
    if (place != data_size) return fmt::format("{} bytes after the last tensor belong to no tensor", data_size - place);
    return {};
}

std::uint64_t header_length(std::span<const std::byte> file) {
    std::uint64_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
    return length;
}

}  // namespace

bool is_safetensors(std::span<const std::byte> file) {
    return file.size() > 8 && file[8] == std::byte{'{'} && header_length(file) <= kMaxHeader;
}

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, const std::string& file_name) {
    const auto bad = [&](const std::string& why) { return Error{Code::bad_format, file_name + ": " + why}; };
    if (file.size() < 8)
        return bad(fmt::format("not a safetensors file: {} bytes, shorter than its header length", file.size()));
    const std::uint64_t length = header_length(file);
    if (length > kMaxHeader)
        return bad(
            fmt::format("not a safetensors file: a header of {} bytes (at most {} are allowed)", length, kMaxHeader));
    if (length > file.size() - 8)
        return bad(fmt::format("header of {} bytes in a file of {}: it is truncated or no safetensors file", length,
                               file.size()));

    const auto* const text = reinterpret_cast<const char*>(file.data() + 8);
    if (length == 0 || text[0] != '{') return bad("not a safetensors file: the header does not start with '{'");
    HeaderReader reader;
    if (!Json::sax_parse(text, text + length, &reader))
        return bad(reader.problem.empty() ? "the header is not valid JSON" : reader.problem);

    const auto data = file.subspan(8 + length);
    for (const Entry& e : reader.entries)
        if (const std::string why = check_entry(e, data.size()); !why.empty())
            return bad(fmt::format("tensor '{}': {}", printable(e.name), why));
    if (const std::string why = check_layout(reader.entries, data.size()); !why.empty()) return bad(why);

    SafetensorsHeader header{std::move(reader.metadata), {}};
    header.tensors.reserve(reader.entries.size());
    for (Entry& e : reader.entries)
        header.tensors.push_back({std::move(e.name), *stored_type(e.dtype), std::move(e.shape),
                                  data.subspan(e.offsets[0], e.offsets[1] - e.offsets[0])});
    std::sort(header.tensors.begin(), header.tensors.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
    return header;
}

Result<WeightFile> open_safetensors(std::shared_ptr<const MappedFile> file) {
    PUMICE_ASSIGN(SafetensorsHeader header, parse_safetensors(file->bytes(), file->path().string()));
    WeightContents contents{FileFormat::safetensors,   file->path(), std::move(header.metadata),
                            std::move(header.tensors), {},           {}};
    contents.files.push_back(std::move(file));
    return WeightFile::create(std::move(contents));
}

}  // namespace pumice
