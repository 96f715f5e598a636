#include "weights/parts.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "weights/open_clip_names.hpp"

namespace pumice {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::uint64_t kMaxJson = std::uint64_t(16) << 20;

Error bad(const fs::path& path, const std::string& why) {
    return {Code::bad_format, fmt::format("{}: {}", path.string(), why)};
}

/// A folder in its place could lead anywhere, also back to itself.
bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

Result<Json> read_json(const fs::path& path) {
    PUMICE_ASSIGN(const MappedFile file, MappedFile::open(path));
    if (file.bytes().size() > kMaxJson) return bad(path, fmt::format("has more than {} bytes", kMaxJson));
    const auto* const text = reinterpret_cast<const char*>(file.bytes().data());
    Json json = Json::parse(text, text + file.bytes().size(), nullptr, false);
    if (!json.is_object()) return bad(path, "is not a JSON object");
    return json;
}

/// A configuration that may be absent.
Result<Json> config_of(const fs::path& path) {
    if (!is_file(path)) return Json(Json::object());
    return read_json(path);
}

/// The weights that diffusers would load from a folder, or nothing: safetensors before .bin, what has no variant first.
std::optional<fs::path> weights_in(const fs::path& folder) {
    for (const char* kind : {"safetensors", "bin"})
        for (const char* variant : {"", ".fp16"})
            for (const char* stem : {"diffusion_pytorch_model", "model", "pytorch_model"})
                for (const std::string& name : {fmt::format("{}{}.{}", stem, variant, kind),
                                                fmt::format("{}.{}.index{}.json", stem, kind, variant),
                                                fmt::format("{}{}.{}.index.json", stem, variant, kind)})
                    if (is_file(folder / name)) return folder / name;
    return std::nullopt;
}

void append(WeightContents& all, const WeightFile& file, std::vector<StoredTensor> tensors) {
    const WeightContents& from = file.contents();
    std::move(tensors.begin(), tensors.end(), std::back_inserter(all.tensors));
    all.files.insert(all.files.end(), from.files.begin(), from.files.end());
    all.buffers.insert(all.buffers.end(), from.buffers.begin(), from.buffers.end());
}

std::string prediction_of(const Json& scheduler) {
    const auto type = scheduler.find("prediction_type");
    if (type == scheduler.end() || *type == "epsilon") return "eps";
    return *type == "v_prediction" ? "v" : type->dump(-1, ' ', true, Json::error_handler_t::replace);
}

/// Which family a folder is of: "kind" of core/models/configs.hpp.
enum class FolderKind : std::uint8_t { sd1, sd2, sdxl, sdxl_refiner };

const char* to_string(FolderKind kind) {
    constexpr const char* kNames[] = {"sd1", "sd2", "sdxl", "sdxl_refiner"};
    return kNames[static_cast<std::size_t>(kind)];
}

/// A second text encoder is SD XL's, and alone its refiner's. SD 2's first one is OpenCLIP's, which has another
/// activation than OpenAI's; without a configuration, its width tells.
Result<FolderKind> kind_of(const fs::path& folder) {
    const auto first = weights_in(folder / "text_encoder");
    if (weights_in(folder / "text_encoder_2")) return first ? FolderKind::sdxl : FolderKind::sdxl_refiner;
    if (!first) return FolderKind::sd1;
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(*first));
    if (!is_clip_text(file.tensors())) return FolderKind::sd1;
    PUMICE_ASSIGN(const Json config, config_of(folder / "text_encoder" / "config.json"));
    if (const auto act = config.find("hidden_act"); act != config.end())
        return *act == "gelu" ? FolderKind::sd2 : FolderKind::sd1;
    constexpr std::uint64_t kOpenClipWidth = 1024;
    const StoredTensor* const tokens = file.find("text_model.embeddings.token_embedding.weight");
    return tokens->shape.size() == 2 && tokens->shape[1] == kOpenClipWidth ? FolderKind::sd2 : FolderKind::sd1;
}

/// "attention_head_dim" holds numbers of heads, whatever its name says: one for all levels, or a list, which in the
/// published models comes from heads of one width.
Result<Json> heads_of(const Json& unet, const fs::path& where) {
    Json heads = Json::object();
    for (const char* key : {"num_attention_heads", "attention_head_dim"}) {
        const auto value = unet.find(key);
        if (value == unet.end() || value->is_null()) continue;
        if (value->is_number_unsigned()) {
            heads["num_heads"] = *value;
            return heads;
        }
        const auto channels = unet.find("block_out_channels");
        if (!value->is_array() || channels == unet.end() || !channels->is_array() ||
            value->size() != channels->size() || value->empty())
            return bad(where, fmt::format("{} does not go with block_out_channels", key));
        std::set<std::uint64_t> widths;
        for (std::size_t i = 0; i < value->size(); ++i) {
            const Json &n = (*value)[i], &all = (*channels)[i];
            const bool whole = n.is_number_unsigned() && all.is_number_unsigned() && n.get<std::uint64_t>() > 0;
            widths.insert(whole ? all.get<std::uint64_t>() / n.get<std::uint64_t>() : 0);
        }
        if (widths.size() != 1 || *widths.begin() == 0)
            return Error{Code::unsupported, fmt::format("{}: {} makes heads of several widths", where.string(), key)};
        heads["num_head_channels"] = *widths.begin();
        return heads;
    }
    return heads;
}

/// Of one text encoder. In SD 2's folders the last layer is left out, whose output is not used.
Result<Json> text_config(const fs::path& config, bool layer_left_out) {
    PUMICE_ASSIGN(const Json text, config_of(config));
    Json out = Json::object();
    if (const auto heads = text.find("num_attention_heads"); heads != text.end() && heads->is_number_unsigned())
        out["heads"] = *heads;
    const auto layers = text.find("num_hidden_layers");
    if (layer_left_out && layers != text.end() && layers->is_number_unsigned())
        out["layers"] = layers->get<std::uint64_t>() + 1;
    return out;
}

/// What the shapes do not tell, as core/models/configs.hpp takes it.
Result<std::string> model_config(const fs::path& folder, FolderKind kind) {
    PUMICE_ASSIGN(const Json unet, config_of(folder / "unet" / "config.json"));
    PUMICE_ASSIGN(const Json vae, config_of(folder / "vae" / "config.json"));
    PUMICE_ASSIGN(const Json scheduler, config_of(folder / "scheduler" / "scheduler_config.json"));
    Json config = {{"kind", to_string(kind)}};
    const std::string prediction = prediction_of(scheduler);
    if (prediction != "eps" && prediction != "v")
        return Error{Code::unsupported,
                     fmt::format("{}: prediction_type {} is neither epsilon nor v_prediction",
                                 (folder / "scheduler" / "scheduler_config.json").string(), printable(prediction))};
    config["prediction"] = prediction;
    if (const auto zero = scheduler.find("rescale_betas_zero_snr"); zero != scheduler.end() && zero->is_boolean())
        config["zero_terminal_snr"] = *zero;
    PUMICE_ASSIGN(config["unet"], heads_of(unet, folder / "unet" / "config.json"));
    const fs::path first = folder / "text_encoder" / "config.json", second = folder / "text_encoder_2" / "config.json";
    if (kind == FolderKind::sd1 || kind == FolderKind::sd2) {
        PUMICE_ASSIGN(config["text"], text_config(first, kind == FolderKind::sd2));
    } else {
        PUMICE_ASSIGN(config["text_g"], text_config(second, false));
    }
    if (kind == FolderKind::sdxl) {
        PUMICE_ASSIGN(config["text_l"], text_config(first, false));
    }
    if (const auto factor = vae.find("scaling_factor"); factor != vae.end() && factor->is_number())
        config["vae"]["scale_factor"] = *factor;
    return config.dump();
}

/// Adds one part's tensors; that a part is absent shows when its tensors are looked for.
Status add_part(WeightContents& all, const fs::path& folder, ModelPart part) {
    const auto weights = weights_in(folder);
    if (!weights) return {};
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(*weights));
    append(all, file, as_single_file(file.tensors(), part));
    // Title, licence and the like; what the folder's configurations say counts more.
    if (part == ModelPart::unet) all.metadata.insert(file.metadata().begin(), file.metadata().end());
    return {};
}

Status add_open_clip(WeightContents& all, const fs::path& folder, std::string_view prefix) {
    const auto weights = weights_in(folder);
    if (!weights) return {};
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(*weights));
    auto tensors = as_open_clip(file.tensors(), prefix, all.buffers);
    if (!tensors) return Error{tensors.error().code, fmt::format("{}: {}", file.path(), tensors.error().message)};
    append(all, file, *std::move(tensors));
    return {};
}

/// SD XL's first, which is SD 1's under another name.
Status add_first_of_xl(WeightContents& all, const fs::path& folder) {
    const std::size_t before = all.tensors.size();
    PUMICE_TRY(add_part(all, folder, ModelPart::text));
    const std::size_t prefix = part_prefix(ModelPart::text).size();
    for (std::size_t i = before; i < all.tensors.size(); ++i)
        all.tensors[i].name.replace(0, prefix, "conditioner.embedders.0.transformer.");
    return {};
}

Status add_texts(WeightContents& all, const fs::path& folder, FolderKind kind) {
    const fs::path first = folder / "text_encoder", second = folder / "text_encoder_2";
    switch (kind) {
        case FolderKind::sd1:
            return add_part(all, first, ModelPart::text);
        case FolderKind::sd2:
            return add_open_clip(all, first, "cond_stage_model.model.");
        case FolderKind::sdxl:
            PUMICE_TRY(add_first_of_xl(all, first));
            return add_open_clip(all, second, "conditioner.embedders.1.model.");
        case FolderKind::sdxl_refiner:
            return add_open_clip(all, second, "conditioner.embedders.0.model.");
    }
    return {};
}

}  // namespace

bool is_shard_index(std::span<const std::byte> file) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start >= 8 || text[start] != '{') return false;
    // A safetensors file begins with the length of its header, whose bytes may be those of blanks and a brace. Text
    // read as a length is far beyond any file's end.
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8 && i < file.size(); ++i) length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
    return file.size() < 8 || length > file.size() - 8;
}

namespace {

Result<WeightFile> open_shard(const fs::path& index, const std::string& name) {
    const fs::path path = index.parent_path() / name;
    if (!is_file(path))
        return Error{Code::not_found,
                     fmt::format("{}: the file '{}' that it lists is missing", index.string(), printable(name))};
    PUMICE_ASSIGN(const MappedFile file, MappedFile::open(path));
    if (is_shard_index(file.bytes())) return bad(index, fmt::format("'{}' is an index itself", printable(name)));
    return WeightFile::open(path);
}

}  // namespace

Result<WeightFile> open_shards(std::shared_ptr<const MappedFile> index) {
    const fs::path path = index->path();
    PUMICE_ASSIGN(const Json json, read_json(path));
    const auto map = json.find("weight_map");
    if (map == json.end() || !map->is_object()) return bad(path, "a JSON file without a weight_map: no weights");
    std::map<std::string, std::set<std::string>> shards;
    for (const auto& [tensor, shard] : map->items()) {
        const std::string name = shard.is_string() ? shard.get<std::string>() : std::string();
        if (name.empty() || name.find('/') != std::string::npos)
            return bad(path, fmt::format("tensor '{}' is in no file beside it", printable(tensor)));
        shards[name].insert(tensor);
    }
    WeightContents all{FileFormat::shards, path, {}, {}, {}, {}};
    for (const auto& [name, tensors] : shards) {
        PUMICE_ASSIGN(const WeightFile shard, open_shard(path, name));
        for (const std::string& tensor : tensors)
            if (!shard.find(tensor))
                return bad(path, fmt::format("tensor '{}' is not in '{}'", printable(tensor), printable(name)));
        append(all, shard, shard.tensors());
    }
    return WeightFile::create(std::move(all));
}

Result<WeightFile> open_folder(const fs::path& folder) {
    if (!is_file(folder / "model_index.json")) {
        if (const auto weights = weights_in(folder)) return WeightFile::open(*weights);
        return bad(folder, "a folder without model_index.json: no model of diffusers");
    }
    PUMICE_ASSIGN(const Json index, read_json(folder / "model_index.json"));
    WeightContents all{FileFormat::diffusers, folder, {}, {}, {}, {}};
    PUMICE_ASSIGN(const FolderKind kind, kind_of(folder));
    PUMICE_ASSIGN(all.metadata["pumice.config"], model_config(folder, kind));
    PUMICE_TRY(add_part(all, folder / "unet", ModelPart::unet));
    PUMICE_TRY(add_part(all, folder / "vae", ModelPart::vae));
    PUMICE_TRY(add_texts(all, folder, kind));
    if (all.tensors.empty()) return bad(folder, "no weights in unet, vae or text_encoder");
    return WeightFile::create(std::move(all));
}

Result<WeightFile> with_part(const WeightFile& base, const WeightFile& part, ModelPart which) {
    const bool vae = which == ModelPart::vae;
    const std::string prefix(part_prefix(which));
    auto tensors = as_single_file(part.tensors(), which);
    const std::string needed =
        prefix + (vae ? "decoder.conv_in.weight" : "text_model.embeddings.token_embedding.weight");
    if (std::none_of(tensors.begin(), tensors.end(), [&](const StoredTensor& t) { return t.name == needed; }))
        return bad(part.path(), vae ? "holds no VAE" : "holds no CLIP text encoder");
    WeightContents all{base.format(), base.path() + " with " + part.path(), base.metadata(), {}, {}, {}};
    std::vector<StoredTensor> kept;
    for (const StoredTensor& t : base.tensors())
        if (!t.name.starts_with(prefix)) kept.push_back(t);
    append(all, base, std::move(kept));
    append(all, part, std::move(tensors));
    return WeightFile::create(std::move(all));
}

}  // namespace pumice
