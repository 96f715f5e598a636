// Geometry from the names and shapes of a checkpoint's tensors.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/configs.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kMaxSize = std::uint64_t(1) << 20;  // of any axis: far above the vocabulary's 49,408

/// An axis of a tensor, which is `times` the size wanted.
struct Axis {
    std::string name;
    std::size_t axis = 0;
    std::uint32_t times = 1;
};

class Inference {
public:
    explicit Inference(const WeightFile& file) : file_(file) {}

    Result<UnetConfig> unet();
    Result<VaeConfig> vae();
    Result<TextConfig> text(const TextConfig& form);
    Result<TextConfig> bert(const std::string& prefix);

private:
    Error bad(const std::string& why) const { return {Code::bad_format, file_.path() + ": " + why}; }
    Result<std::uint32_t> size(const std::vector<Axis>&) const;
    Result<std::uint32_t> count(const std::string& prefix) const;
    std::optional<LayerKind> kind(const std::string& member) const;
    Result<UnetLayer> layer(const std::string& name, std::uint32_t channels) const;
    Result<UnetBlock> block(const std::string& name, std::uint32_t channels) const;
    Result<VaeLevel> vae_level(const std::string& name, std::uint32_t& channels, const char* resample) const;
    bool any(const std::string& member, std::initializer_list<const char*> parts) const {
        return std::any_of(parts.begin(), parts.end(), [&](const char* p) { return file_.has_prefix(member + p); });
    }

    const WeightFile& file_;
};

/// The size that most of the axes agree on, the smaller in a tie: so one misshapen tensor is found out by the others
/// and named, instead of all others by it. Axes of absent tensors do not count; if all are absent, the first is named.
Result<std::uint32_t> Inference::size(const std::vector<Axis>& axes) const {
    std::map<std::uint64_t, std::size_t> votes;
    bool present = false;
    for (const Axis& a : axes) {
        const StoredTensor* t = file_.find(a.name);
        present |= t != nullptr;
        if (!t || t->shape.size() <= a.axis || t->shape[a.axis] % a.times != 0) continue;
        const std::uint64_t n = t->shape[a.axis] / a.times;
        if (n > 0 && n <= kMaxSize) ++votes[n];
    }
    if (!present) return bad(fmt::format("tensor '{}' is missing", axes.front().name));
    if (votes.empty()) {
        const StoredTensor* t = file_.find(axes.front().name);
        return bad(fmt::format("tensor '{}' has shape {}, which no network of this family has", axes.front().name,
                               t ? shape_string(t->shape) : "[]"));
    }
    std::uint64_t most = 0, winner = 0;
    for (const auto& [n, count] : votes)
        if (count > most) {
            most = count;
            winner = n;
        }
    return static_cast<std::uint32_t>(winner);
}

/// How many children 0, 1, … a prefix ("input_blocks.") has; a gap in the numbers is an error.
Result<std::uint32_t> Inference::count(const std::string& prefix) const {
    std::uint32_t n = 0;
    while (file_.has_prefix(fmt::format("{}{}.", prefix, n))) ++n;
    for (const StoredTensor& t : file_.with_prefix(prefix)) {
        std::uint32_t index = 0;
        const char* const begin = t.name.data() + prefix.size();
        const auto [end, error] = std::from_chars(begin, t.name.data() + t.name.size(), index);
        if (error == std::errc() && end != begin && *end == '.' && index >= n)
            return bad(
                fmt::format("all tensors of '{}{}' are missing, though there is '{}'", prefix, n, printable(t.name)));
    }
    return n;
}

/// By any of its tensors, so that one that is missing does not hide the layer.
std::optional<LayerKind> Inference::kind(const std::string& member) const {
    if (any(member, {".in_layers.", ".emb_layers.", ".out_layers."})) return LayerKind::res;
    if (any(member, {".transformer_blocks.", ".proj_in.", ".proj_out."})) return LayerKind::transformer;
    if (any(member, {".op."})) return LayerKind::downsample;
    if (any(member, {".conv."})) return LayerKind::upsample;
    if (file_.find(member + ".weight") || file_.find(member + ".bias")) return LayerKind::conv;
    return std::nullopt;
}

Result<UnetLayer> Inference::layer(const std::string& name, std::uint32_t channels) const {
    const std::string full = std::string(kUnetPrefix) + name;
    const auto found = kind(full);
    if (!found) return bad(fmt::format("'{}' is no layer of {}", full, to_string(Family::sd1)));
    UnetLayer l{*found, name, channels, channels};
    if (l.kind == LayerKind::conv) {
        PUMICE_ASSIGN(l.out_channels, size({{full + ".weight", 0}, {full + ".bias", 0}}));
    } else if (l.kind == LayerKind::res) {
        PUMICE_ASSIGN(l.out_channels, size({{full + ".in_layers.2.weight", 0},
                                            {full + ".in_layers.2.bias", 0},
                                            {full + ".emb_layers.1.weight", 0},
                                            {full + ".emb_layers.1.bias", 0},
                                            {full + ".out_layers.0.weight", 0},
                                            {full + ".out_layers.3.weight", 0}}));
    } else if (l.kind == LayerKind::transformer) {
        PUMICE_ASSIGN(l.depth, count(full + ".transformer_blocks."));
        const std::string first = full + ".transformer_blocks.0.";
        PUMICE_ASSIGN(l.ff_channels, size({{first + "ff.net.0.proj.weight", 0, 2},
                                           {first + "ff.net.0.proj.bias", 0, 2},
                                           {first + "ff.net.2.weight", 1}}));
    }
    return l;
}

Result<UnetBlock> Inference::block(const std::string& name, std::uint32_t channels) const {
    PUMICE_ASSIGN(const std::uint32_t n, count(fmt::format("{}{}.", kUnetPrefix, name)));
    UnetBlock block;
    for (std::uint32_t i = 0; i < n; ++i) {
        PUMICE_ASSIGN(UnetLayer l, layer(fmt::format("{}.{}", name, i), channels));
        channels = l.out_channels;
        block.push_back(std::move(l));
    }
    if (block.empty()) return bad(fmt::format("all tensors of '{}{}' are missing", kUnetPrefix, name));
    return block;
}

Result<UnetConfig> Inference::unet() {
    const std::string prefix(kUnetPrefix);
    const std::string first = prefix + "input_blocks.0.0.", time = prefix + "time_embed.";
    UnetConfig unet;
    PUMICE_ASSIGN(unet.in_channels, size({{first + "weight", 1}}));
    PUMICE_ASSIGN(unet.model_channels, size({{first + "weight", 0},
                                             {first + "bias", 0},
                                             {time + "0.weight", 1},
                                             {prefix + "out.0.weight", 0},
                                             {prefix + "out.2.weight", 1}}));
    PUMICE_ASSIGN(unet.out_channels, size({{prefix + "out.2.weight", 0}, {prefix + "out.2.bias", 0}}));
    PUMICE_ASSIGN(unet.time_channels, size({{time + "0.weight", 0},
                                            {time + "0.bias", 0},
                                            {time + "2.weight", 0},
                                            {time + "2.weight", 1},
                                            {time + "2.bias", 0}}));
    std::vector<Axis> keys;
    for (const StoredTensor& t : file_.with_prefix(prefix))
        if (t.name.ends_with(".attn2.to_k.weight") || t.name.ends_with(".attn2.to_v.weight"))
            keys.push_back({t.name, 1});
    if (keys.empty()) keys.push_back({prefix + "middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1});
    PUMICE_ASSIGN(unet.context_channels, size(keys));

    for (const StoredTensor& t : file_.with_prefix(prefix))
        if (t.name.ends_with(".proj_in.weight")) unet.linear_projections = t.shape.size() == 2;
    if (file_.has_prefix(prefix + "label_emb.")) {
        PUMICE_ASSIGN(unet.vector_channels, size({{prefix + "label_emb.0.0.weight", 1}}));
    }

    std::uint32_t channels = unet.in_channels;
    std::vector<std::uint32_t> skips;
    PUMICE_ASSIGN(const std::uint32_t inputs, count(prefix + "input_blocks."));
    for (std::uint32_t i = 0; i < inputs; ++i) {
        PUMICE_ASSIGN(UnetBlock b, block(fmt::format("input_blocks.{}", i), channels));
        channels = b.back().out_channels;
        skips.push_back(channels);
        unet.input_blocks.push_back(std::move(b));
    }
    if (file_.has_prefix(prefix + "middle_block.")) {
        PUMICE_ASSIGN(unet.middle_block, block("middle_block", channels));
        channels = unet.middle_block.back().out_channels;
    }
    PUMICE_ASSIGN(const std::uint32_t outputs, count(prefix + "output_blocks."));
    if (outputs != inputs)
        return bad(fmt::format("the UNet has {} input blocks but {} output blocks", inputs, outputs));
    for (std::uint32_t i = 0; i < outputs; ++i) {
        PUMICE_ASSIGN(UnetBlock b, block(fmt::format("output_blocks.{}", i), channels + skips.back()));
        skips.pop_back();
        channels = b.back().out_channels;
        unet.output_blocks.push_back(std::move(b));
    }
    return unet;
}

Result<VaeLevel> Inference::vae_level(const std::string& name, std::uint32_t& channels, const char* resample) const {
    VaeLevel level;
    PUMICE_ASSIGN(const std::uint32_t blocks, count(name + ".block."));
    if (blocks == 0) return bad(fmt::format("all tensors of '{}.block.0' are missing", name));
    for (std::uint32_t i = 0; i < blocks; ++i) {
        const std::string b = fmt::format("{}.block.{}.", name, i);
        PUMICE_ASSIGN(const std::uint32_t width, size({{b + "conv1.weight", 0},
                                                       {b + "conv1.bias", 0},
                                                       {b + "norm2.weight", 0},
                                                       {b + "conv2.weight", 0},
                                                       {b + "conv2.bias", 0}}));
        level.blocks.push_back({channels, width});
        channels = width;
    }
    level.resample = file_.has_prefix(fmt::format("{}.{}", name, resample));
    return level;
}

Result<VaeConfig> Inference::vae() {
    const std::string prefix(kVaePrefix);
    const std::string enc = prefix + "encoder.", dec = prefix + "decoder.";
    const std::string quant = prefix + "quant_conv.", post = prefix + "post_quant_conv.";
    VaeConfig vae;
    PUMICE_ASSIGN(vae.channels, size({{enc + "conv_in.weight", 0},
                                      {enc + "conv_in.bias", 0},
                                      {dec + "norm_out.weight", 0},
                                      {dec + "conv_out.weight", 1}}));
    PUMICE_ASSIGN(vae.mid_channels, size({{dec + "conv_in.weight", 0},
                                          {dec + "conv_in.bias", 0},
                                          {enc + "norm_out.weight", 0},
                                          {enc + "conv_out.weight", 1}}));
    PUMICE_ASSIGN(vae.image_channels,
                  size({{dec + "conv_out.weight", 0}, {dec + "conv_out.bias", 0}, {enc + "conv_in.weight", 1}}));
    PUMICE_ASSIGN(vae.z_channels, size({{dec + "conv_in.weight", 1},
                                        {post + "weight", 0},
                                        {post + "bias", 0},
                                        {enc + "conv_out.weight", 0, 2},
                                        {enc + "conv_out.bias", 0, 2}}));
    PUMICE_ASSIGN(vae.latent_channels, size({{post + "weight", 1}, {quant + "weight", 0, 2}, {quant + "bias", 0, 2}}));

    std::uint32_t channels = vae.channels;
    PUMICE_ASSIGN(const std::uint32_t downs, count(enc + "down."));
    for (std::uint32_t i = 0; i < downs; ++i) {
        PUMICE_ASSIGN(VaeLevel level, vae_level(fmt::format("{}down.{}", enc, i), channels, "downsample."));
        vae.down.push_back(std::move(level));
    }
    channels = vae.mid_channels;
    PUMICE_ASSIGN(const std::uint32_t ups, count(dec + "up."));
    if (downs != ups) return bad(fmt::format("the VAE has {} levels down but {} up", downs, ups));
    vae.up.resize(ups);
    for (std::uint32_t i = ups; i-- > 0;) {
        PUMICE_ASSIGN(vae.up[i], vae_level(fmt::format("{}up.{}", dec, i), channels, "upsample."));
    }
    return vae;
}

/// `form` has the layout, the prefix and what of the states is taken; the sizes come from the file.
/// BERT in the place of CLIP.
Result<TextConfig> Inference::bert(const std::string& prefix) {
    TextConfig text;
    text.prefix = prefix;
    text.layout = TextLayout::bert;
    const std::string words = prefix + "embeddings.word_embeddings.weight";
    const std::string positions = prefix + "embeddings.position_embeddings.weight";
    const std::string inner = prefix + "encoder.layer.0.intermediate.dense.",
                      out = prefix + "encoder.layer.0.output.dense.";
    PUMICE_ASSIGN(text.vocabulary, size({{words, 0}}));
    PUMICE_ASSIGN(text.positions, size({{positions, 0}}));
    PUMICE_ASSIGN(text.width, size({{words, 1},
                                    {positions, 1},
                                    {prefix + "embeddings.token_type_embeddings.weight", 1},
                                    {prefix + "embeddings.LayerNorm.weight", 0},
                                    {inner + "weight", 1}}));
    PUMICE_ASSIGN(text.layers, count(prefix + "encoder.layer."));
    PUMICE_ASSIGN(text.ff_channels, size({{inner + "weight", 0}, {inner + "bias", 0}, {out + "weight", 1}}));
    if (!file_.find(prefix + "embeddings.token_type_embeddings.weight"))
        return Error{Code::bad_format, fmt::format("{}: tensor '{}embeddings.token_type_embeddings.weight' is missing",
                                                   file_.path(), printable(prefix))};
    return text;
}

Result<TextConfig> Inference::text(const TextConfig& form) {
    TextConfig text = form;
    for (const std::string& prefix : {text.prefix, std::string("cond_stage_model.transformer.")})
        if (text.layout == TextLayout::clip && file_.find(prefix + "embeddings.word_embeddings.weight"))
            return bert(prefix);
    const bool open = text.layout == TextLayout::open_clip;
    const std::string older = "cond_stage_model.transformer.";
    if (!file_.has_prefix(text.prefix) && text.prefix.starts_with(older) &&
        (file_.has_prefix(older + "embeddings.") || file_.has_prefix(older + "encoder.")))
        text.prefix = older;
    const auto name = [&](const char* clip, const char* open_clip) { return text.prefix + (open ? open_clip : clip); };
    const std::string tokens = name("embeddings.token_embedding.weight", "token_embedding.weight");
    const std::string positions = name("embeddings.position_embedding.weight", "positional_embedding");
    const std::string layer = name("encoder.layers.0.", "transformer.resblocks.0.");
    const std::string fc1 = layer + (open ? "mlp.c_fc." : "mlp.fc1."),
                      fc2 = layer + (open ? "mlp.c_proj." : "mlp.fc2.");
    PUMICE_ASSIGN(text.vocabulary, size({{tokens, 0}}));
    PUMICE_ASSIGN(text.positions, size({{positions, 0}}));
    PUMICE_ASSIGN(text.width, size({{tokens, 1},
                                    {positions, 1},
                                    {name("final_layer_norm.weight", "ln_final.weight"), 0},
                                    {layer + (open ? "ln_1.weight" : "layer_norm1.weight"), 0},
                                    {fc1 + "weight", 1}}));
    PUMICE_ASSIGN(text.layers, count(name("encoder.layers.", "transformer.resblocks.")));
    PUMICE_ASSIGN(text.ff_channels, size({{fc1 + "weight", 0}, {fc1 + "bias", 0}, {fc2 + "weight", 1}}));
    if (text.projection > 0) {
        PUMICE_ASSIGN(text.projection, size({{text.prefix + "text_projection", 1}}));
    }
    return text;
}

bool same_shape(const std::vector<std::uint64_t>& expected, const std::vector<std::uint64_t>& found) {
    // A 1x1 convolution and a linear layer are the same thing; converters write either.
    const auto plain = [](const std::vector<std::uint64_t>& s) {
        return s.size() == 4 && s[2] == 1 && s[3] == 1 ? std::vector<std::uint64_t>{s[0], s[1]} : s;
    };
    return plain(expected) == plain(found);
}

Status check_tensors(const WeightFile& file, const std::vector<TensorSpec>& specs) {
    std::string first;
    std::size_t wrong = 0;
    for (const TensorSpec& spec : specs) {
        const StoredTensor* t = file.find(spec.name);
        if (t && same_shape(spec.shape, t->shape)) continue;
        if (wrong++ > 0) continue;
        first = t ? fmt::format("tensor '{}' has shape {}, but {} is expected", spec.name, shape_string(t->shape),
                                shape_string(spec.shape))
                  : fmt::format("tensor '{}' {} is missing", spec.name, shape_string(spec.shape));
    }
    if (wrong == 0) return {};
    if (wrong > 1) first += fmt::format(" (and {} more are missing or misshapen)", wrong - 1);
    return Error{Code::bad_format, file.path() + ": " + first};
}

/// Standard deviation of a tensor's elements; 0 if there is none of that name.
double deviation(const WeightFile& file, const std::string& name) {
    const StoredTensor* t = file.find(name);
    if (!t || t->elements() == 0) return 0;
    std::vector<float> values(t->elements());
    read_f32(*t, 0, values);
    double sum = 0, squares = 0;
    for (const float value : values) sum += double(value), squares += double(value) * double(value);
    const auto n = static_cast<double>(values.size());
    return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
}

/// What files say of their prediction, other than `pumice.config`.
void find_prediction(const WeightFile& file, ModelConfig& config) {
    // Some checkpoints of v prediction say so with an empty tensor.
    config.v_prediction = file.find("v_pred") != nullptr;
    config.zero_terminal_snr = file.find("ztsnr") != nullptr;
    // Stability's SD 2 files say nothing, but the biases of this norm spread wider where v was learnt (0.09 parts
    // them).
    constexpr double kSpreadOfV = 0.09;
    const std::string bias = "output_blocks.11.1.transformer_blocks.0.norm1.bias";
    if (config.family == Family::sd2 && config.unet.in_channels == config.unet.out_channels)
        config.v_prediction |= deviation(file, std::string(kUnetPrefix) + bias) > kSpreadOfV;
    for (const char* key : {"modelspec.prediction_type", "modelspec.predict_key"}) {
        const auto entry = file.metadata().find(key);
        if (entry == file.metadata().end()) continue;
        if (entry->second == "v") config.v_prediction = true;
        if (entry->second == "epsilon") config.v_prediction = false;
    }
}

/// Files that come from diffusers have no last layer in SD 2's text encoder, whose output nobody takes.
void leave_out_last(TextConfig& text) {
    if (text.output == TextOutput::penultimate_normed) text.output = TextOutput::last_normed;
}

/// What shapes do not tell: from the metadata, else by the family's rules.
Status apply_metadata(const WeightFile& file, ModelConfig& config) {
    for (TextConfig& text : config.text) text.heads = text.width / 64;
    const std::vector<TextConfig> published = text_forms(config.family);
    if (config.text[0].width == published[0].width && config.text[0].layers + 1 == published[0].layers)
        leave_out_last(config.text[0]);
    if (config.family != Family::sd1 && config.family != Family::sd1_inpainting && config.family != Family::sd1_edit)
        config.unet.head_channels = 64;
    if (config.family == Family::sdxl || config.family == Family::sdxl_refiner) config.vae.scaling_factor = 0.13025;
    find_prediction(file, config);
    auto entry = file.metadata().find("pumice.config");
    if (entry == file.metadata().end()) entry = file.metadata().find("tiny_config");
    if (entry == file.metadata().end()) {
        for (const TextConfig& text : config.text)
            if (text.width % 64 != 0)
                return Error{Code::unsupported,
                             fmt::format("{}: the text encoder's width {} is not made of heads of 64; give the number "
                                         "in the metadata, \"pumice.config\": {{\"text\": {{\"heads\": …}}}}",
                                         file.path(), text.width)};
        return {};
    }
    PUMICE_ASSIGN(const ModelConfig given,
                  config_from_json(entry->second, fmt::format("{}: metadata {}", file.path(), entry->first)));
    const auto json = nlohmann::json::parse(entry->second, nullptr, false);
    const auto has = [&](const char* section, const char* key) {
        return json.contains(section) && json[section].contains(key);
    };
    if (has("unet", "num_heads") || has("unet", "num_head_channels")) {
        config.unet.heads = given.unet.heads;
        config.unet.head_channels = given.unet.head_channels;
    }
    for (std::size_t i = 0; i < std::min(config.text.size(), given.text.size()); ++i) {
        if (has("text", "heads") || has("text_l", "heads") || has("text_g", "heads"))
            config.text[i].heads = given.text[i].heads;
        if (has("text", "layers") && config.text[i].layers + 1 == given.text[i].layers) leave_out_last(config.text[i]);
    }
    if (has("vae", "scale_factor")) config.vae.scaling_factor = given.vae.scaling_factor;
    if (json.contains("prediction")) config.v_prediction = given.v_prediction;
    if (json.contains("zero_terminal_snr")) config.zero_terminal_snr = given.zero_terminal_snr;
    return {};
}

}  // namespace

Result<ModelConfig> model_config(const WeightFile& file) {
    const Family family = recognize(file);
    if (family == Family::unknown) return Error{Code::unsupported, file.path() + ": holds no model of a known family"};
    if (!runs(family))
        return Error{Code::unsupported,
                     fmt::format("{}: holds {}; this version makes pictures with Stable Diffusion 1.x, 2.x and XL "
                                 "checkpoints",
                                 file.path(), to_string(family))};
    Inference inference(file);
    ModelConfig config;
    config.family = family;
    PUMICE_ASSIGN(config.unet, inference.unet());
    PUMICE_ASSIGN(config.vae, inference.vae());
    config.text = text_forms(family);
    for (TextConfig& text : config.text) {
        PUMICE_ASSIGN(text, inference.text(text));
    }
    PUMICE_TRY(check_tensors(file, expected_tensors(config)));
    PUMICE_TRY(apply_metadata(file, config));
    if (auto status = check_config(config); !status)
        return Error{status.error().code, file.path() + ": " + status.error().message};
    return config;
}

}  // namespace pumice
