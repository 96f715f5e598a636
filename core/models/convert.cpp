#include "models/convert.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "models/configs.hpp"
#include "models/diffusers_folder.hpp"

namespace pumice {
namespace {

struct NamedType {
    std::string_view name;
    StoredType type;
};
constexpr NamedType kTypes[] = {
    {"fp32", StoredType::f32},         {"fp16", StoredType::f16},         {"bf16", StoredType::bf16},
    {"fp8_e4m3", StoredType::f8_e4m3}, {"fp8_e5m2", StoredType::f8_e5m2}, {"q8_0", StoredType::q8_0},
    {"q4_0", StoredType::q4_0},        {"q4_1", StoredType::q4_1},        {"q5_0", StoredType::q5_0},
    {"q5_1", StoredType::q5_1},        {"q2_k", StoredType::q2_k},        {"q3_k", StoredType::q3_k},
    {"q4_k", StoredType::q4_k},        {"q5_k", StoredType::q5_k},        {"q6_k", StoredType::q6_k},
};

/// What only training needs, in the single files of latent-diffusion: `model_ema.` holds running averages, the buffers
/// follow from the noise schedule's two numbers.
constexpr std::string_view kEma = "model_ema.";
constexpr std::string_view kTraining[] = {"optimizer_states.",       "lr_schedulers.", "callbacks.", "loops.",
                                          "first_stage_model.loss.", "loss."};
constexpr std::string_view kSchedule[] = {"betas", "logvar", "model_ema.decay", "model_ema.num_updates"};
constexpr std::string_view kScheduleStarts[] = {"alphas_cumprod", "sqrt_", "log_one_minus_", "posterior_"};

/// LitEma's buffers: the parameter's name without its first word and without dots.
std::string ema_name(std::string_view name) {
    constexpr std::string_view kModel = "model.";
    if (!name.starts_with(kModel)) return {};
    std::string ema(kEma);
    for (const char c : name.substr(kModel.size()))
        if (c != '.') ema += c;
    return ema;
}

/// Single files have the VAE's attention as 1x1 convolutions, folders of diffusers as matrices.
void restore_convolution(OutputTensor& t) {
    const bool attention = t.name.starts_with(kVaePrefix) && t.name.find(".mid.attn_1.") != std::string::npos;
    if (attention && t.shape.size() == 2 && !is_quantized(t.dtype)) t.shape.insert(t.shape.end(), {1, 1});
}

/// The type of whole rows that comes nearest.
StoredType with_smaller_blocks(StoredType type) {
    switch (type) {
        case StoredType::q2_k:
        case StoredType::q3_k:
            return StoredType::q4_0;
        case StoredType::q4_k:
            return StoredType::q5_0;
        case StoredType::q5_k:
            return StoredType::q5_1;
        case StoredType::q6_k:
            return StoredType::q8_0;
        default:
            return type;
    }
}

/// Embeddings of tokens, positions, time and sizes: small, or looked up by rows, and what errors there would go far.
bool is_table(std::string_view name) {
    return name.find("embed") != std::string_view::npos || name.find("label_emb") != std::string_view::npos;
}

StoredType type_for(const OutputTensor& t, StoredType wanted) {
    const bool matrix = t.shape.size() == 2 && t.name.ends_with(".weight") && !is_table(t.name);
    if (is_quantized(wanted)) {
        const auto fits = [&](StoredType type) { return t.shape.back() % block_elements(type) == 0; };
        if (!matrix) return StoredType::f16;
        if (!fits(wanted)) wanted = with_smaller_blocks(wanted);
        return fits(wanted) ? wanted : StoredType::f16;
    }
    if (size_of(wanted) > 1) return wanted;
    const bool convolution = t.shape.size() == 4 && t.name.ends_with(".weight");
    return matrix || convolution ? wanted : StoredType::f16;
}

bool format_has(OutputFormat format, StoredType type) {
    return format == OutputFormat::gguf ? size_of(type) > 1 || !is_float(type) : !is_quantized(type);
}

Status write_one_file(const OutputModel& model, const std::filesystem::path& path, OutputFormat format,
                      Existing existing, const OnWritten& on_written) {
    PUMICE_ASSIGN(NewFile file, NewFile::create(path, existing));
    Status written = format == OutputFormat::safetensors  ? write_safetensors(file, model, on_written)
                     : format == OutputFormat::checkpoint ? write_checkpoint(file, model, on_written)
                                                          : write_gguf(file, model, on_written);
    PUMICE_TRY(std::move(written));
    return file.finish();
}

}  // namespace

std::optional<OutputFormat> output_format(std::string_view name) {
    if (name == "safetensors") return OutputFormat::safetensors;
    if (name == "ckpt") return OutputFormat::checkpoint;
    if (name == "gguf") return OutputFormat::gguf;
    if (name == "diffusers") return OutputFormat::diffusers;
    return std::nullopt;
}

OutputFormat output_format_of(const std::filesystem::path& path) {
    const std::string ending = path.extension().string();
    if (ending == ".safetensors") return OutputFormat::safetensors;
    if (ending == ".ckpt" || ending == ".pt" || ending == ".pth" || ending == ".bin") return OutputFormat::checkpoint;
    return ending == ".gguf" ? OutputFormat::gguf : OutputFormat::diffusers;
}

std::optional<StoredType> weight_type(std::string_view name) {
    for (const NamedType& t : kTypes)
        if (t.name == name) return t.type;
    return std::nullopt;
}

std::vector<std::string_view> weight_type_names() {
    std::vector<std::string_view> names;
    for (const NamedType& t : kTypes) names.push_back(t.name);
    return names;
}

bool only_for_training(std::string_view name) {
    const auto starts = [&](std::string_view prefix) { return name.starts_with(prefix); };
    return starts(kEma) || std::any_of(std::begin(kTraining), std::end(kTraining), starts) ||
           std::find(std::begin(kSchedule), std::end(kSchedule), name) != std::end(kSchedule) ||
           std::any_of(std::begin(kScheduleStarts), std::end(kScheduleStarts), starts);
}

Result<OutputModel> output_model(const WeightFile& file, const TensorChoice& choice) {
    OutputModel model{file.metadata(), {}};
    std::size_t averaged = 0;
    for (const StoredTensor& t : file.tensors()) {
        if (choice.prune && only_for_training(t.name)) continue;
        const StoredTensor* from = &t;
        if (choice.ema && t.name.starts_with(kUnetPrefix))
            if (const StoredTensor* ema = file.find(ema_name(t.name)); ema && ema->shape == t.shape) {
                from = ema;
                ++averaged;
            }
        OutputTensor out = copied(file, *from);
        out.name = t.name;
        restore_convolution(out);
        model.tensors.push_back(std::move(out));
    }
    if (choice.ema && averaged == 0)
        return Error{Code::not_found, file.path() + ": has no averaged weights (EMA) of its UNet"};
    return model;
}

void set_types(OutputModel& model, std::optional<StoredType> type, OutputFormat format) {
    for (OutputTensor& t : model.tensors) {
        if (!is_float(t.dtype)) continue;
        if (type) t = retyped(t, type_for(t, *type));
        if (!type && !format_has(format, t.dtype)) t = retyped(t, StoredType::f16);
    }
}

Result<std::vector<std::string>> write_model(const OutputModel& model, const std::filesystem::path& path,
                                             OutputFormat format, Existing existing, const WeightFile& like,
                                             const OnWritten& on_written) {
    if (format == OutputFormat::diffusers) return write_diffusers_folder(model, path, existing, like, on_written);
    PUMICE_TRY(write_one_file(model, path, format, existing, on_written));
    return std::vector<std::string>{};
}

}  // namespace pumice
