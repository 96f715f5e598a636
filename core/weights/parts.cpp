#include "weights/parts.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

/// What the shapes do not tell, as core/models/configs.hpp takes it.
Result<std::string> model_config(const fs::path& folder) {
    PUMICE_ASSIGN(const Json unet, config_of(folder / "unet" / "config.json"));
    PUMICE_ASSIGN(const Json vae, config_of(folder / "vae" / "config.json"));
    PUMICE_ASSIGN(const Json text, config_of(folder / "text_encoder" / "config.json"));
    PUMICE_ASSIGN(const Json scheduler, config_of(folder / "scheduler" / "scheduler_config.json"));
    Json config = Json::object();
    const std::string prediction = prediction_of(scheduler);
    if (prediction != "eps" && prediction != "v")
        return Error{Code::unsupported,
                     fmt::format("{}: prediction_type {} is neither epsilon nor v_prediction",
                                 (folder / "scheduler" / "scheduler_config.json").string(), printable(prediction))};
    config["prediction"] = prediction;
    // "attention_head_dim" holds the number of heads in these configurations; a list of them is another family's.
    for (const char* key : {"num_attention_heads", "attention_head_dim"})
        if (const auto heads = unet.find(key); heads != unet.end() && heads->is_number_unsigned()) {
            config["unet"]["num_heads"] = *heads;
            break;
        }
    if (const auto heads = text.find("num_attention_heads"); heads != text.end() && heads->is_number_unsigned())
        config["text"]["heads"] = *heads;
    if (const auto factor = vae.find("scaling_factor"); factor != vae.end() && factor->is_number())
        config["vae"]["scale_factor"] = *factor;
    return config.dump();
}

/// Adds one part's tensors; that a part is absent shows when its tensors are looked for.
Status add_part(WeightContents& all, const fs::path& folder, const char* name, std::optional<ModelPart> part) {
    const auto weights = weights_in(folder / name);
    if (!weights) return {};
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(*weights));
    std::vector<StoredTensor> tensors = file.tensors();
    if (part) {
        tensors = as_single_file(std::move(tensors), *part);
    } else {
        for (StoredTensor& t : tensors) t.name.insert(0, std::string(name) + ".");
    }
    append(all, file, std::move(tensors));
    return {};
}

}  // namespace

bool is_shard_index(std::span<const std::byte> file) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start >= 8 || text[start] != '{') return false;
    // A safetensors file begins with the length of its header, whose bytes may be those of blanks and a brace. Text read
    // as a length is far beyond any file's end.
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
    PUMICE_ASSIGN(all.metadata["pumice.config"], model_config(folder));
    PUMICE_TRY(add_part(all, folder, "unet", ModelPart::unet));
    PUMICE_TRY(add_part(all, folder, "vae", ModelPart::vae));
    PUMICE_TRY(add_part(all, folder, "text_encoder", ModelPart::text));
    PUMICE_TRY(add_part(all, folder, "text_encoder_2", std::nullopt));
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
