#include "adapters/textual_inversion.hpp"

#include <cmath>

#include <fmt/format.h>

namespace pumice {
namespace {

constexpr std::uint64_t kMostVectors = 75;  ///< of a chunk
constexpr std::uint64_t kMostWidth = 16384;

Result<EmbeddingVectors> vectors(const WeightFile& file, const StoredTensor& t) {
    const std::uint64_t width = t.shape.empty() ? 0 : t.shape.back();
    const std::uint64_t count = t.shape.size() == 1 ? 1 : t.shape.empty() ? 0 : t.shape[0];
    if (t.shape.size() > 2 || count == 0 || count > kMostVectors || width == 0 || width > kMostWidth)
        return Error{Code::bad_format,
                     fmt::format("{}: tensor '{}' has shape {}, but [vectors, width] is needed, at most {} vectors",
                                 file.path(), printable(t.name), shape_string(t.shape), kMostVectors)};
    EmbeddingVectors found{static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(width), {}};
    found.values.resize(count * width);
    read_f32(t, 0, found.values);
    for (const float value : found.values)
        if (!std::isfinite(value))
            return Error{Code::bad_format,
                         fmt::format("{}: tensor '{}' has values that are no numbers", file.path(), printable(t.name))};
    return found;
}

/// The tensor of the only word of a file.
const StoredTensor* word(const WeightFile& file) {
    if (const StoredTensor* t = file.find("emb_params")) return t;
    for (const StoredTensor& t : file.with_prefix("string_to_param."))
        if (t.shape.size() == 2) return &t;
    return file.tensors().size() == 1 ? &file.tensors().front() : nullptr;
}

}  // namespace

Result<TextualInversion> TextualInversion::open(const std::filesystem::path& path) {
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(path));
    TextualInversion made;
    made.name = path.stem().string();
    made.file = path.string();
    const StoredTensor* const l = file.find("clip_l");
    const StoredTensor* const g = file.find("clip_g");
    const StoredTensor* const first = l || g ? l : word(file);
    if (!first && !g)
        return Error{Code::bad_format,
                     fmt::format("{}: no embedding: {} tensors, none of them emb_params, string_to_param, "
                                 "clip_l or clip_g",
                                 file.path(), file.tensors().size())};
    if (first) {
        PUMICE_ASSIGN(made.first, vectors(file, *first));
    }
    if (g) {
        PUMICE_ASSIGN(made.second, vectors(file, *g));
    }
    if (l && g && made.first.count != made.second.count)
        return Error{Code::bad_format, fmt::format("{}: clip_l has {} vectors and clip_g {}", file.path(),
                                                   made.first.count, made.second.count)};
    return made;
}

}  // namespace pumice
