#include "weights/open_clip_names.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "weights/name_tables.hpp"

namespace pumice {
namespace {

using name_tables::Cursor;
using name_tables::Pair;

/// transformers', open_clip's.
constexpr Pair kOutside[] = {{"text_model.embeddings.token_embedding.", "token_embedding."},
                             {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
                             {"text_model.final_layer_norm.", "ln_final."},
                             {"text_projection.weight", "text_projection"}};
constexpr Pair kInside[] = {{"layer_norm1.", "ln_1."},
                            {"layer_norm2.", "ln_2."},
                            {"self_attn.out_proj.", "attn.out_proj."},
                            {"mlp.fc1.", "mlp.c_fc."},
                            {"mlp.fc2.", "mlp.c_proj."}};
constexpr Pair kLayers = {"text_model.encoder.layers.", "transformer.resblocks."};
constexpr std::array<std::string_view, 3> kProjections = {"self_attn.q_proj.", "self_attn.k_proj.",
                                                          "self_attn.v_proj."};
constexpr std::string_view kJoined = "attn.in_proj_";
constexpr std::string_view kProjection = "text_projection";

template <std::size_t N>
std::string replaced(std::string_view name, const Pair (&pairs)[N], bool to_open) {
    for (const auto& [transformers, open] : pairs) {
        const std::string_view from = to_open ? transformers : open, to = to_open ? open : transformers;
        if (name.starts_with(from)) return fmt::format("{}{}", to, name.substr(from.size()));
    }
    return std::string(name);
}

/// q, k and v of one attention's weight or bias.
using Triple = std::array<const StoredTensor*, 3>;

/// "transformer.resblocks.3.attn.in_proj_weight" and the place of the tensor in it; empty for what is none of the
/// three.
std::pair<std::string, std::size_t> joined_name(std::string_view full) {
    Cursor name{full};
    if (!name.take(kLayers.first)) return {};
    const auto layer = name.index();
    if (!layer) return {};
    for (std::size_t i = 0; i < kProjections.size(); ++i)
        if (name.take(kProjections[i]))
            return {fmt::format("{}{}.{}{}", kLayers.second, *layer, kJoined, name.rest), i};
    return {};
}

std::string open_clip_name(std::string_view full) {
    Cursor name{full};
    if (!name.take(kLayers.first)) return replaced(full, kOutside, true);
    const auto layer = name.index();
    return layer ? fmt::format("{}{}.{}", kLayers.second, *layer, replaced(name.rest, kInside, true))
                 : std::string(full);
}

std::shared_ptr<std::vector<std::byte>> room(StoredTensor& t, std::size_t bytes) {
    auto buffer = std::make_shared<std::vector<std::byte>>(bytes);
    t.data = *buffer;
    return buffer;
}

bool alike(const Triple& parts) {
    return std::all_of(parts.begin(), parts.end(), [&](const StoredTensor* t) {
        return t->dtype == parts[0]->dtype && t->shape == parts[0]->shape && !t->shape.empty();
    });
}

StoredTensor joined(const std::string& name, const Triple& parts, std::vector<std::shared_ptr<const void>>& buffers) {
    StoredTensor all{name, parts[0]->dtype, parts[0]->shape, {}};
    all.shape[0] *= 3;
    const std::size_t bytes = parts[0]->data.size();
    const auto buffer = room(all, 3 * bytes);
    for (std::size_t i = 0; i < parts.size(); ++i)
        std::copy(parts[i]->data.begin(), parts[i]->data.end(),
                  buffer->begin() + static_cast<std::ptrdiff_t>(i * bytes));
    buffers.push_back(buffer);
    return all;
}

/// Elements of `size` bytes, rows × columns, into columns × rows.
void transpose(std::span<const std::byte> from, std::span<std::byte> to, std::size_t rows, std::size_t columns,
               std::size_t size) {
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
            std::memcpy(to.data() + (c * rows + r) * size, from.data() + (r * columns + c) * size, size);
}

void transpose_in_memory(StoredTensor& t, std::vector<std::shared_ptr<const void>>& buffers) {
    const std::span<const std::byte> from = t.data;
    const auto buffer = room(t, from.size());
    transpose(from, *buffer, t.shape[0], t.shape[1], size_of(t.dtype));
    std::swap(t.shape[0], t.shape[1]);
    buffers.push_back(buffer);
}

bool transposable(const std::vector<std::uint64_t>& shape, StoredType type) {
    return shape.size() == 2 && !is_quantized(type);
}

/// Rows [index * rows, (index + 1) * rows) of a tensor.
OutputTensor part_of(const OutputTensor& t, std::string name, std::uint64_t index) {
    OutputTensor part{std::move(name), t.dtype, t.shape, {}, {}};
    part.shape[0] /= 3;
    const std::uint64_t first = index * part.element_count(), first_byte = index * part.byte_count();
    part.elements = [read = t.elements, first](std::uint64_t at, std::span<float> to) { return read(first + at, to); };
    part.bytes = [read = t.bytes, first_byte](std::uint64_t at, std::span<std::byte> to) {
        return read(first_byte + at, to);
    };
    return part;
}

/// The whole tensor is read when the first piece is asked for.
OutputTensor transposed(const OutputTensor& t, std::string name) {
    OutputTensor out{std::move(name), t.dtype, {t.shape[1], t.shape[0]}, {}, {}};
    auto whole = std::make_shared<std::vector<std::byte>>();
    out.bytes = [t, whole](std::uint64_t at, std::span<std::byte> to) -> Status {
        if (whole->empty()) {
            std::vector<std::byte> from(static_cast<std::size_t>(t.byte_count()));
            PUMICE_TRY(t.bytes(0, from));
            whole->resize(from.size());
            transpose(from, *whole, t.shape[0], t.shape[1], size_of(t.dtype));
        }
        std::copy_n(whole->begin() + static_cast<std::ptrdiff_t>(at), to.size(), to.begin());
        return {};
    };
    out.elements = [read = out.bytes, type = t.dtype](std::uint64_t at, std::span<float> to) -> Status {
        std::vector<std::byte> bytes(to.size() * size_of(type));
        PUMICE_TRY(read(at * size_of(type), bytes));
        read_f32(StoredTensor{{}, type, {to.size()}, bytes}, 0, to);
        return {};
    };
    return out;
}

}  // namespace

bool is_clip_text(const std::vector<StoredTensor>& tensors) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [](const StoredTensor& t) { return t.name == "text_model.embeddings.token_embedding.weight"; });
}

Result<std::vector<StoredTensor>> as_open_clip(std::vector<StoredTensor> tensors, std::string_view prefix,
                                               std::vector<std::shared_ptr<const void>>& buffers) {
    std::vector<StoredTensor> all;
    std::map<std::string, Triple> triples;
    for (const StoredTensor& t : tensors) {
        const auto [name, place] = joined_name(t.name);
        if (!name.empty())
            triples[name][place] = &t;
        else if (!t.name.ends_with(".position_ids")) {
            all.push_back(t);
            all.back().name = fmt::format("{}{}", prefix, open_clip_name(t.name));
            const bool projection = t.name == "text_projection.weight";
            if (projection && transposable(t.shape, t.dtype)) transpose_in_memory(all.back(), buffers);
        }
    }
    for (const auto& [name, parts] : triples) {
        if (std::find(parts.begin(), parts.end(), nullptr) != parts.end()) continue;  // missed when the model is opened
        if (!alike(parts))
            return Error{Code::bad_format,
                         fmt::format("the text encoder's q, k and v of '{}' differ in type or shape", printable(name))};
        all.push_back(joined(fmt::format("{}{}", prefix, name), parts, buffers));
    }
    return all;
}

std::vector<OutputTensor> as_transformers(const OutputTensor& t) {
    Cursor name{t.name};
    if (t.name == kProjection && transposable(t.shape, t.dtype)) return {transposed(t, "text_projection.weight")};
    OutputTensor renamed = t;
    if (!name.take(kLayers.second)) {
        renamed.name = replaced(t.name, kOutside, false);
        return {renamed};
    }
    const auto layer = name.index();
    if (!layer) return {renamed};
    const std::string start = fmt::format("{}{}.", kLayers.first, *layer);
    if (!name.take(kJoined) || t.shape.empty() || t.shape[0] % 3 != 0) {
        renamed.name = start + replaced(name.rest, kInside, false);
        return {renamed};
    }
    std::vector<OutputTensor> parts;
    for (std::size_t i = 0; i < kProjections.size(); ++i)
        parts.push_back(part_of(t, fmt::format("{}{}{}", start, kProjections[i], name.rest), i));
    return parts;
}

}  // namespace pumice
