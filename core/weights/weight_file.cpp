#include "weights/weight_file.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include "weights/checkpoint.hpp"
#include "weights/gguf.hpp"
#include "weights/parts.hpp"
#include "weights/safetensors.hpp"

namespace pumice {
namespace {

bool by_name(const StoredTensor& t, std::string_view name) {
    return t.name < name;
}

/// What was saved in place of a model, as downloads that went wrong are; empty: nothing of the kind.
std::string mistaken_for_a_model(std::string_view start) {
    if (start.starts_with("version https://git-lfs"))
        return "a Git LFS pointer instead of the file itself: fetch it with `git lfs pull`";
    const std::size_t text = start.find_first_not_of(" \t\r\n");
    if (text == std::string_view::npos || start[text] != '<') return {};
    return "a web page instead of a model: download it again";
}

const MappedFile* holder(const WeightContents& contents, std::span<const std::byte> part) {
    const auto less = std::less<const std::byte*>();
    for (const auto& file : contents.files) {
        const auto bytes = file->bytes();
        if (!less(part.data(), bytes.data()) && !less(bytes.data() + bytes.size(), part.data() + part.size()))
            return file.get();
    }
    return nullptr;
}

}  // namespace

const char* to_string(FileFormat format) {
    switch (format) {
        case FileFormat::safetensors:
            return "safetensors";
        case FileFormat::torch_zip:
            return "PyTorch checkpoint (zip)";
        case FileFormat::torch_legacy:
            return "PyTorch checkpoint (before 1.6)";
        case FileFormat::shards:
            return "shards";
        case FileFormat::diffusers:
            return "diffusers folder";
        case FileFormat::gguf:
            return "GGUF";
    }
    return "unknown";
}

Result<WeightFile> WeightFile::open(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return open_folder(path);
    PUMICE_ASSIGN(MappedFile mapped, MappedFile::open(path));
    auto file = std::make_shared<const MappedFile>(std::move(mapped));
    if (is_safetensors(file->bytes())) return open_safetensors(std::move(file));
    const auto* const text = reinterpret_cast<const char*>(file->bytes().data());
    const std::string_view start(text, std::min<std::size_t>(file->bytes().size(), 64));
    if (const std::string mistaken = mistaken_for_a_model(start); !mistaken.empty())
        return Error{Code::bad_format, path.string() + ": " + mistaken};
    if (is_checkpoint(file->bytes())) return open_checkpoint(std::move(file));
    if (is_gguf(file->bytes())) return open_gguf(std::move(file));
    if (is_shard_index(file->bytes())) return open_shards(std::move(file));
    return open_safetensors(std::move(file));  // which says what is wrong with it
}

Result<WeightFile> WeightFile::create(WeightContents contents) {
    auto& tensors = contents.tensors;
    strip_common_prefixes(tensors);
    std::sort(tensors.begin(), tensors.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
    const auto same = std::adjacent_find(tensors.begin(), tensors.end(),
                                         [](const StoredTensor& a, const StoredTensor& b) { return a.name == b.name; });
    if (same != tensors.end())
        return Error{Code::bad_format,
                     fmt::format("{}: tensor '{}' occurs twice", contents.path.string(), printable(same->name))};
    return WeightFile(std::make_shared<const WeightContents>(std::move(contents)));
}

const StoredTensor* WeightFile::find(std::string_view name) const {
    const auto at = std::lower_bound(tensors().begin(), tensors().end(), name, by_name);
    return at != tensors().end() && at->name == name ? &*at : nullptr;
}

Result<const StoredTensor*> WeightFile::tensor(std::string_view name) const {
    if (const StoredTensor* t = find(name)) return t;
    return Error{Code::bad_format, fmt::format("{}: tensor '{}' is missing", path(), printable(name))};
}

std::span<const StoredTensor> WeightFile::with_prefix(std::string_view prefix) const {
    const auto begin = std::lower_bound(tensors().begin(), tensors().end(), prefix, by_name);
    const auto end =
        std::partition_point(begin, tensors().end(), [&](const StoredTensor& t) { return t.name.starts_with(prefix); });
    return {begin, end};
}

void WeightFile::will_need(std::span<const std::byte> part) const {
    if (const MappedFile* const file = holder(*contents_, part)) file->will_need(part);
}

void WeightFile::done_with(std::span<const std::byte> part) const {
    if (const MappedFile* const file = holder(*contents_, part)) file->done_with(part);
}

}  // namespace pumice
