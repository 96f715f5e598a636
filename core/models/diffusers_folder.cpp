#include "models/diffusers_folder.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/configs.hpp"
#include "text/tokenizer_writer.hpp"
#include "weights/diffusers_names.hpp"
#include "weights/open_clip_names.hpp"

namespace pumice {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json list_of(std::size_t n, const char* entry) {
    return std::vector<std::string>(n, entry);
}

bool is_xl(const ModelConfig& config) {
    return config.family == Family::sdxl || config.family == Family::sdxl_refiner;
}

/// A side of the pictures that the published checkpoints were trained with; a folder must name some size.
std::uint32_t trained_pixels(const ModelConfig& config) {
    if (is_xl(config)) return 1024;
    return config.family == Family::sd2 && config.v_prediction ? 768 : 512;
}

/// One level of a half of the UNet.
struct UnetLevel {
    std::uint32_t channels = 0, resnets = 0;
    std::vector<std::uint32_t> depths{};  ///< of its transformers
};

/// From the picture to the middle, or from there to the picture.
std::vector<UnetLevel> unet_levels(const std::vector<UnetBlock>& blocks) {
    std::vector<UnetLevel> levels(1);
    for (std::size_t i = 0; i < blocks.size(); ++i)
        for (const UnetLayer& l : blocks[i]) {
            UnetLevel& level = levels.back();
            if (l.kind == LayerKind::res) {
                level.channels = l.out_channels;
                ++level.resnets;
            }
            if (l.kind == LayerKind::transformer) level.depths.push_back(l.depth);
            if (l.kind == LayerKind::downsample || l.kind == LayerKind::upsample) levels.emplace_back();
        }
    return levels;
}

/// A level's depths as diffusers takes them: one number where they agree. `otherwise` stands where there are none.
Json depth_json(const UnetLevel& level, std::uint32_t otherwise) {
    if (level.depths.empty()) return otherwise;
    const bool same =
        std::adjacent_find(level.depths.begin(), level.depths.end(), std::not_equal_to<>()) == level.depths.end();
    return same ? Json(level.depths[0]) : Json(level.depths);
}

/// The middle has the depth of the last level, with transformers or not.
Json depths_json(const std::vector<UnetLevel>& levels, std::uint32_t middle) {
    Json depths = Json::array();
    for (std::size_t i = 0; i < levels.size(); ++i)
        depths.push_back(depth_json(levels[i], i + 1 == levels.size() ? middle : 1));
    return depths;
}

const UnetLayer* middle_transformer(const UnetConfig& unet) {
    for (const UnetLayer& l : unet.middle_block)
        if (l.kind == LayerKind::transformer) return &l;
    return nullptr;
}

Json middle_json(const UnetConfig& unet) {
    if (unet.middle_block.empty()) return nullptr;
    return middle_transformer(unet) ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D";
}

/// diffusers gave the numbers of heads this name.
Json attention_head_dim(const UnetConfig& unet, const std::vector<UnetLevel>& levels) {
    if (unet.head_channels == 0) return unet.heads;
    Json heads = Json::array();
    for (const UnetLevel& l : levels) heads.push_back(l.channels / unet.head_channels);
    return heads;
}

Json unet_json(const ModelConfig& config) {
    const UnetConfig& unet = config.unet;
    Json channels = Json::array(), down = Json::array(), up = Json::array();
    const std::vector<UnetLevel> levels = unet_levels(unet.input_blocks), up_levels = unet_levels(unet.output_blocks);
    for (const UnetLevel& l : levels) {
        channels.push_back(l.channels);
        down.push_back(l.depths.empty() ? "DownBlock2D" : "CrossAttnDownBlock2D");
    }
    for (const UnetLevel& l : up_levels) up.push_back(l.depths.empty() ? "UpBlock2D" : "CrossAttnUpBlock2D");
    const UnetLayer* const middle = middle_transformer(unet);
    const Json depths = depths_json(levels, middle ? middle->depth : 1);
    Json json = {{"_class_name", "UNet2DConditionModel"},
                 {"act_fn", "silu"},
                 {"attention_head_dim", attention_head_dim(unet, levels)},
                 {"block_out_channels", channels},
                 {"center_input_sample", false},
                 {"cross_attention_dim", unet.context_channels},
                 {"down_block_types", down},
                 {"downsample_padding", 1},
                 {"flip_sin_to_cos", true},
                 {"freq_shift", 0},
                 {"in_channels", unet.in_channels},
                 {"layers_per_block", levels.front().resnets},
                 {"mid_block_scale_factor", 1},
                 {"mid_block_type", middle_json(unet)},
                 {"norm_eps", 1e-5},
                 {"norm_num_groups", kGroups},
                 {"out_channels", unet.out_channels},
                 {"sample_size", trained_pixels(config) / config.vae.factor()},
                 {"transformer_layers_per_block", depths},
                 {"up_block_types", up},
                 {"use_linear_projection", unet.linear_projections}};
    Json reversed = Json::array();
    for (std::size_t i = 0; i < up_levels.size(); ++i)
        reversed.push_back(depth_json(up_levels[i], i == 0 && middle ? middle->depth : 1));
    if (reversed != Json(std::vector<Json>(depths.rbegin(), depths.rend())))
        json["reverse_transformer_layers_per_block"] = reversed;
    if (unet.vector_channels > 0)
        json.update({{"addition_embed_type", "text_time"},
                     {"addition_time_embed_dim", kSizeChannels},
                     {"projection_class_embeddings_input_dim", unet.vector_channels}});
    return json;
}

Json vae_json(const ModelConfig& config) {
    const VaeConfig& vae = config.vae;
    Json channels = Json::array();
    for (const VaeLevel& l : vae.down) channels.push_back(l.blocks.back().out_channels);
    return {{"_class_name", "AutoencoderKL"},
            {"act_fn", "silu"},
            {"block_out_channels", channels},
            {"down_block_types", list_of(vae.down.size(), "DownEncoderBlock2D")},
            {"force_upcast", is_xl(config)},  // XL's overflows in fp16
            {"in_channels", vae.image_channels},
            {"latent_channels", vae.latent_channels},
            {"layers_per_block", vae.down.front().blocks.size()},
            {"norm_num_groups", kGroups},
            {"out_channels", vae.image_channels},
            {"sample_size", trained_pixels(config)},
            {"scaling_factor", vae.scaling_factor},
            {"up_block_types", list_of(vae.up.size(), "UpDecoderBlock2D")}};
}

const char* text_class(const TextConfig& text) {
    return text.projection > 0 ? "CLIPTextModelWithProjection" : "CLIPTextModel";
}

Json text_json(const TextConfig& text) {
    const bool open = text.layout == TextLayout::open_clip;
    // What SD 2 takes is there the last state: the last layer stays in the file, unread.
    const std::uint32_t layers = text.layers - (text.output == TextOutput::penultimate_normed ? 1 : 0);
    return {{"architectures", {text_class(text)}},
            {"attention_dropout", 0.0},
            {"bos_token_id", 0},
            {"dropout", 0.0},
            {"eos_token_id", 2},  // transformers' mark for: the pooled state is that of the greatest token
            {"hidden_act", open ? "gelu" : "quick_gelu"},
            {"hidden_size", text.width},
            {"initializer_factor", 1.0},
            {"initializer_range", 0.02},
            {"intermediate_size", text.ff_channels},
            {"layer_norm_eps", 1e-5},
            {"max_position_embeddings", text.positions},
            {"model_type", "clip_text_model"},
            {"num_attention_heads", text.heads},
            {"num_hidden_layers", layers},
            {"pad_token_id", 1},
            {"projection_dim", text.projection > 0 ? text.projection : text.width},
            {"vocab_size", text.vocabulary}};
}

/// Those that the folders were published with; PNDM knows nothing of schedules that end in pure noise.
const char* scheduler_class(const ModelConfig& config) {
    return is_xl(config) ? "EulerDiscreteScheduler" : config.zero_terminal_snr ? "DDIMScheduler" : "PNDMScheduler";
}

Json scheduler_json(const ModelConfig& config) {
    Json json = {{"_class_name", scheduler_class(config)},
                 {"beta_end", 0.012},
                 {"beta_schedule", "scaled_linear"},
                 {"beta_start", 0.00085},
                 {"clip_sample", false},
                 {"num_train_timesteps", 1000},
                 {"prediction_type", config.v_prediction ? "v_prediction" : "epsilon"},
                 {"set_alpha_to_one", false},
                 {"skip_prk_steps", true},
                 {"steps_offset", 1},
                 {"trained_betas", nullptr}};
    if (is_xl(config)) json.update({{"interpolation_type", "linear"}, {"timestep_spacing", "leading"}});
    if (config.zero_terminal_snr) json.update({{"rescale_betas_zero_snr", true}, {"timestep_spacing", "trailing"}});
    return json;
}

/// One folder of weights: the tensors under `prefix` of a single file.
struct PartFolder {
    std::string prefix, folder;
    ModelPart part = ModelPart::unet;
    const TextConfig* text = nullptr;  ///< of a text encoder
    const char* file() const { return text ? "model.safetensors" : "diffusion_pytorch_model.safetensors"; }
    bool open_clip() const { return text && text->layout == TextLayout::open_clip; }
    std::string tokenizer() const { return folder == "text_encoder" ? "tokenizer" : "tokenizer_2"; }
};

std::vector<PartFolder> parts_of(const ModelConfig& config) {
    std::vector<PartFolder> parts = {{std::string(kUnetPrefix), "unet", ModelPart::unet},
                                     {std::string(kVaePrefix), "vae", ModelPart::vae}};
    for (const TextConfig& text : config.text) {
        PartFolder part{text.prefix, "text_encoder", ModelPart::text, &text};
        if (part.open_clip() && is_xl(config)) part.folder = "text_encoder_2";
        constexpr std::string_view kInside = "text_model.";  // transformers' own name for the encoder
        if (part.prefix.ends_with(kInside)) part.prefix.resize(part.prefix.size() - kInside.size());
        parts.push_back(std::move(part));
    }
    return parts;
}

std::string pipeline_class(const ModelConfig& config) {
    const std::uint32_t in = config.unet.in_channels, latent = config.vae.latent_channels;
    std::string name = is_xl(config) ? "StableDiffusionXL" : "StableDiffusion";
    if (config.family == Family::sdxl_refiner) return name + "Img2ImgPipeline";
    if (in == 2 * latent) return name + "InstructPix2PixPipeline";
    return name + (in == 2 * latent + 1 ? "InpaintPipeline" : "Pipeline");
}

Json index_json(const ModelConfig& config) {
    const Json none = {nullptr, nullptr};
    Json json = {{"_class_name", pipeline_class(config)}};
    if (is_xl(config)) {
        const bool refiner = config.family == Family::sdxl_refiner;
        json["force_zeros_for_empty_prompt"] = !refiner;
        if (refiner) json.update({{"requires_aesthetics_score", true}, {"text_encoder", none}, {"tokenizer", none}});
    } else {
        json.update({{"feature_extractor", none}, {"requires_safety_checker", false}, {"safety_checker", none}});
    }
    for (const PartFolder& part : parts_of(config)) {
        if (!part.text) continue;
        json[part.folder] = {"transformers", text_class(*part.text)};
        json[part.tokenizer()] = {"transformers", "CLIPTokenizer"};
    }
    json.update({{"scheduler", {"diffusers", scheduler_class(config)}},
                 {"unet", {"diffusers", "UNet2DConditionModel"}},
                 {"vae", {"diffusers", "AutoencoderKL"}}});
    return json;
}

Status put_json(const fs::path& path, const Json& json) {
    PUMICE_ASSIGN(NewFile file, NewFile::create(path, Existing::refuse));
    const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    PUMICE_TRY(file.write(std::as_bytes(std::span(text.data(), text.size()))));
    return file.finish();
}

Status make_folder(const fs::path& path) {
    std::error_code error;
    fs::create_directory(path, error);
    if (!error) return {};
    return Error{Code::io, fmt::format("cannot make the folder {}: {}", path.string(), error.message())};
}

/// The tensors of one part, in the names and shapes of its folder. Counts in `taken` those of the model that it has.
OutputModel part_of(const OutputModel& model, const PartFolder& part, const DiffusersLayout& layout,
                    std::size_t& taken) {
    OutputModel out;
    if (part.part == ModelPart::unet) out.metadata = model.metadata;
    for (const OutputTensor& t : model.tensors) {
        if (!t.name.starts_with(part.prefix)) continue;
        ++taken;
        OutputTensor renamed = t;
        renamed.name.erase(0, part.prefix.size());
        if (part.open_clip()) {
            for (OutputTensor& each : as_transformers(renamed)) out.tensors.push_back(std::move(each));
            continue;
        }
        renamed.name = diffusers_name(renamed.name, part.part, layout);
        const bool attention = part.part == ModelPart::vae && t.name.find(".mid.attn_1.") != std::string::npos;
        if (attention && t.shape.size() == 4) renamed.shape.resize(2);  // a linear layer there
        out.tensors.push_back(std::move(renamed));
    }
    return out;
}

Status write_parts(const OutputModel& model, const fs::path& folder, const ModelConfig& config,
                   const DiffusersLayout& layout, const OnWritten& on_written, std::size_t& taken) {
    for (const PartFolder& p : parts_of(config)) {
        const OutputModel part = part_of(model, p, layout, taken);
        PUMICE_ASSIGN(NewFile file, NewFile::create(folder / p.folder / p.file(), Existing::refuse));
        PUMICE_TRY(write_safetensors(file, part, on_written));
        PUMICE_TRY(file.finish());
    }
    return {};
}

Status write_configs(const ModelConfig& config, const fs::path& folder, std::vector<std::string>& notes) {
    for (const char* part : {"unet", "vae", "scheduler"}) PUMICE_TRY(make_folder(folder / part));
    PUMICE_TRY(put_json(folder / "model_index.json", index_json(config)));
    PUMICE_TRY(put_json(folder / "unet" / "config.json", unet_json(config)));
    PUMICE_TRY(put_json(folder / "vae" / "config.json", vae_json(config)));
    PUMICE_TRY(put_json(folder / "scheduler" / "scheduler_config.json", scheduler_json(config)));
    for (const PartFolder& part : parts_of(config)) {
        if (!part.text) continue;
        PUMICE_TRY(make_folder(folder / part.folder));
        PUMICE_TRY(make_folder(folder / part.tokenizer()));
        PUMICE_TRY(put_json(folder / part.folder / "config.json", text_json(*part.text)));
        if (part.text->vocabulary == kClipVocabulary)
            PUMICE_TRY(
                write_tokenizer_files(folder / part.tokenizer(), part.open_clip() ? Padding::zero : Padding::end));
        else
            notes.push_back(
                fmt::format("no {} is written: the text encoder's vocabulary is not CLIP's", part.tokenizer()));
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> write_diffusers_folder(const OutputModel& model, const fs::path& path,
                                                        Existing existing, const WeightFile& like,
                                                        const OnWritten& on_written) {
    const Family family = recognize(like);
    if (!runs(family))
        return Error{
            Code::unsupported,
            fmt::format("{}: holds {}; only Stable Diffusion 1, 2 and XL are written as a folder of diffusers. Name a "
                        ".safetensors, .ckpt or .gguf",
                        like.path(), to_string(family))};
    PUMICE_ASSIGN(const ModelConfig config, model_config(like));
    if (config.text.front().layout == TextLayout::bert)
        return Error{
            Code::unsupported,
            fmt::format("{}: its text encoder is not CLIP's; name a .safetensors, .ckpt or .gguf", like.path())};
    PUMICE_ASSIGN(NewFolder folder, NewFolder::create(path, existing));
    std::vector<std::string> notes;
    PUMICE_TRY(write_configs(config, folder.path(), notes));
    std::size_t taken = 0;
    PUMICE_TRY(write_parts(model, folder.path(), config, diffusers_layout(like.tensors()), on_written, taken));
    if (taken < model.tensors.size())
        notes.push_back(
            fmt::format("{} tensors that belong to no part of the folder are left out", model.tensors.size() - taken));
    PUMICE_TRY(folder.finish());
    return notes;
}

}  // namespace pumice
