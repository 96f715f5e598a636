#include "models/diffusers_folder.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/configs.hpp"
#include "text/tokenizer_writer.hpp"
#include "weights/diffusers_names.hpp"

namespace pumice {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint32_t kTrainedPixels = 512;  // of published checkpoints; a folder must name some size

Json list_of(std::size_t n, const char* entry) {
    return std::vector<std::string>(n, entry);
}

/// One level of the UNet's way down.
struct UnetLevel {
    std::uint32_t channels = 0, resnets = 0, depth = 0;
};

std::vector<UnetLevel> unet_levels(const UnetConfig& unet) {
    std::vector<UnetLevel> levels(1);
    for (std::size_t i = 1; i < unet.input_blocks.size(); ++i)
        for (const UnetLayer& l : unet.input_blocks[i]) {
            if (l.kind == LayerKind::downsample) {
                levels.emplace_back();
                continue;
            }
            UnetLevel& level = levels.back();
            level.channels = l.out_channels;
            level.resnets += l.kind == LayerKind::res ? 1 : 0;
            if (l.kind == LayerKind::transformer) level.depth = std::max(level.depth, l.depth);
        }
    return levels;
}

Json unet_json(const UnetConfig& unet, std::uint32_t factor) {
    Json channels = Json::array(), down = Json::array(), up = Json::array(), depth = Json::array();
    const std::vector<UnetLevel> levels = unet_levels(unet);
    for (const UnetLevel& l : levels) {
        channels.push_back(l.channels);
        down.push_back(l.depth > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D");
        depth.push_back(std::max(l.depth, 1u));
    }
    for (auto l = levels.rbegin(); l != levels.rend(); ++l)
        up.push_back(l->depth > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D");
    return {{"_class_name", "UNet2DConditionModel"},
            {"act_fn", "silu"},
            {"attention_head_dim", unet.heads},  // the name that diffusers gave the number of heads
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
            {"mid_block_type", "UNetMidBlock2DCrossAttn"},
            {"norm_eps", 1e-5},
            {"norm_num_groups", kGroups},
            {"out_channels", unet.out_channels},
            {"sample_size", kTrainedPixels / factor},
            {"transformer_layers_per_block", depth},
            {"up_block_types", up},
            {"use_linear_projection", unet.linear_projections}};
}

Json vae_json(const VaeConfig& vae) {
    Json channels = Json::array();
    for (const VaeLevel& l : vae.down) channels.push_back(l.blocks.back().out_channels);
    return {{"_class_name", "AutoencoderKL"},
            {"act_fn", "silu"},
            {"block_out_channels", channels},
            {"down_block_types", list_of(vae.down.size(), "DownEncoderBlock2D")},
            {"in_channels", vae.image_channels},
            {"latent_channels", vae.latent_channels},
            {"layers_per_block", vae.down.front().blocks.size()},
            {"norm_num_groups", kGroups},
            {"out_channels", vae.image_channels},
            {"sample_size", kTrainedPixels},
            {"scaling_factor", vae.scaling_factor},
            {"up_block_types", list_of(vae.up.size(), "UpDecoderBlock2D")}};
}

Json text_json(const TextConfig& text) {
    return {{"architectures", {"CLIPTextModel"}},
            {"attention_dropout", 0.0},
            {"bos_token_id", 0},
            {"dropout", 0.0},
            {"eos_token_id", 2},
            {"hidden_act", "quick_gelu"},
            {"hidden_size", text.width},
            {"initializer_factor", 1.0},
            {"initializer_range", 0.02},
            {"intermediate_size", text.ff_channels},
            {"layer_norm_eps", 1e-5},
            {"max_position_embeddings", text.positions},
            {"model_type", "clip_text_model"},
            {"num_attention_heads", text.heads},
            {"num_hidden_layers", text.layers},
            {"pad_token_id", 1},
            {"projection_dim", text.width},
            {"vocab_size", text.vocabulary}};
}

/// The noise schedule of Stable Diffusion, for the scheduler that its folders were published with.
Json scheduler_json(bool v_prediction) {
    return {{"_class_name", "PNDMScheduler"},
            {"beta_end", 0.012},
            {"beta_schedule", "scaled_linear"},
            {"beta_start", 0.00085},
            {"clip_sample", false},
            {"num_train_timesteps", 1000},
            {"prediction_type", v_prediction ? "v_prediction" : "epsilon"},
            {"set_alpha_to_one", false},
            {"skip_prk_steps", true},
            {"steps_offset", 1},
            {"trained_betas", nullptr}};
}

Json index_json() {
    const Json none = {nullptr, nullptr};
    return {{"_class_name", "StableDiffusionPipeline"},
            {"feature_extractor", none},
            {"requires_safety_checker", false},
            {"safety_checker", none},
            {"scheduler", {"diffusers", "PNDMScheduler"}},
            {"text_encoder", {"transformers", "CLIPTextModel"}},
            {"tokenizer", {"transformers", "CLIPTokenizer"}},
            {"unet", {"diffusers", "UNet2DConditionModel"}},
            {"vae", {"diffusers", "AutoencoderKL"}}};
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

struct PartFolder {
    ModelPart part;
    const char *folder, *file;
};
constexpr PartFolder kParts[] = {{ModelPart::unet, "unet", "diffusion_pytorch_model.safetensors"},
                                 {ModelPart::vae, "vae", "diffusion_pytorch_model.safetensors"},
                                 {ModelPart::text, "text_encoder", "model.safetensors"}};

/// The tensors of one part, in the names and shapes of its folder.
OutputModel part_of(const OutputModel& model, ModelPart part, const DiffusersLayout& layout) {
    OutputModel out;
    if (part == ModelPart::unet) out.metadata = model.metadata;
    const std::string_view prefix = part_prefix(part);
    for (const OutputTensor& t : model.tensors) {
        if (!t.name.starts_with(prefix)) continue;
        OutputTensor renamed = t;
        renamed.name = diffusers_name(std::string_view(t.name).substr(prefix.size()), part, layout);
        const bool attention = part == ModelPart::vae && t.name.find(".mid.attn_1.") != std::string::npos;
        if (attention && t.shape.size() == 4) renamed.shape.resize(2);  // a linear layer there
        out.tensors.push_back(std::move(renamed));
    }
    return out;
}

Status write_parts(const OutputModel& model, const fs::path& folder, const DiffusersLayout& layout,
                   const OnWritten& on_written, std::size_t& written) {
    for (const PartFolder& p : kParts) {
        const OutputModel part = part_of(model, p.part, layout);
        PUMICE_ASSIGN(NewFile file, NewFile::create(folder / p.folder / p.file, Existing::refuse));
        PUMICE_TRY(write_safetensors(file, part, on_written));
        PUMICE_TRY(file.finish());
        written += part.tensors.size();
    }
    return {};
}

Status write_configs(const ModelConfig& config, const fs::path& folder) {
    for (const char* part : {"unet", "vae", "text_encoder", "scheduler", "tokenizer"})
        PUMICE_TRY(make_folder(folder / part));
    PUMICE_TRY(put_json(folder / "model_index.json", index_json()));
    PUMICE_TRY(put_json(folder / "unet" / "config.json", unet_json(config.unet, config.vae.factor())));
    PUMICE_TRY(put_json(folder / "vae" / "config.json", vae_json(config.vae)));
    PUMICE_TRY(put_json(folder / "text_encoder" / "config.json", text_json(config.text.front())));
    return put_json(folder / "scheduler" / "scheduler_config.json", scheduler_json(config.v_prediction));
}

}  // namespace

Result<std::vector<std::string>> write_diffusers_folder(const OutputModel& model, const fs::path& path,
                                                        Existing existing, const WeightFile& like,
                                                        const OnWritten& on_written) {
    const Family family = recognize(like);
    if (family != Family::sd1)
        return Error{
            Code::unsupported,
            fmt::format("{}: holds {}; only {} is written as a folder of diffusers. Name a .safetensors, .ckpt or "
                        ".gguf",
                        like.path(), to_string(family), to_string(Family::sd1))};
    PUMICE_ASSIGN(const ModelConfig config, model_config(like));
    if (config.text.front().layout != TextLayout::clip)
        return Error{Code::unsupported,
                     fmt::format("{}: its text encoder is not CLIP's; name a .safetensors, .ckpt or .gguf", like.path())};
    PUMICE_ASSIGN(NewFolder folder, NewFolder::create(path, existing));
    std::vector<std::string> notes;
    PUMICE_TRY(write_configs(config, folder.path()));
    if (config.text.front().vocabulary == kClipVocabulary)
        PUMICE_TRY(write_tokenizer_files(folder.path() / "tokenizer"));
    else
        notes.push_back("no tokenizer is written: the text encoder's vocabulary is not CLIP's");
    std::size_t written = 0;
    PUMICE_TRY(write_parts(model, folder.path(), diffusers_layout(like.tensors()), on_written, written));
    if (written < model.tensors.size())
        notes.push_back(fmt::format("{} tensors that belong to no part of the folder are left out",
                                    model.tensors.size() - written));
    PUMICE_TRY(folder.finish());
    return notes;
}

}  // namespace pumice
