// Geometry from hyperparameters: block order and numbering of the original UNetModel, Encoder and Decoder
// (Rombach et al. 2022, arXiv 2112.10752; CompVis latent-diffusion).
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "models/configs.hpp"

namespace pumice {
namespace {

using Json = nlohmann::json;

// Bounds that no network of the family comes near; they keep sizes computed from a configuration in 64 bits.
constexpr std::uint32_t kMaxChannels = 1 << 16, kMaxCount = 1 << 8, kMaxTokens = 1 << 20;

/// An object of the configuration: values with their type and range checked. The first problem stays.
class Section {
public:
    Section(const Json& parent, const char* name, std::string where) : where_(std::move(where)), name_(name) {
        const auto at = parent.find(name);
        if (at == parent.end()) return;
        if (at->is_object())
            values_ = *at;
        else
            problem_ = " is not an object";
    }

    std::uint32_t number(const char* key, std::uint32_t otherwise, std::uint32_t most) {
        const auto at = values_.find(key);
        return at == values_.end() ? otherwise : checked(key, *at, most);
    }
    /// A number, or a list of them.
    std::vector<std::uint32_t> number_or_numbers(const char* key, std::vector<std::uint32_t> otherwise,
                                                 std::uint32_t most) {
        const auto at = values_.find(key);
        if (at != values_.end() && !at->is_array()) return {checked(key, *at, most)};
        return numbers(key, std::move(otherwise), most);
    }
    bool boolean(const char* key, bool otherwise) {
        const auto at = values_.find(key);
        if (at == values_.end()) return otherwise;
        if (!at->is_boolean()) note(key, "is neither true nor false");
        return at->is_boolean() && at->get<bool>();
    }
    std::vector<std::uint32_t> numbers(const char* key, std::vector<std::uint32_t> otherwise, std::uint32_t most) {
        const auto at = values_.find(key);
        if (at == values_.end()) return otherwise;
        std::vector<std::uint32_t> list;
        if (!at->is_array() || at->size() > kMaxCount)
            note(key, "is not a list of numbers");
        else
            for (const Json& v : *at) list.push_back(checked(key, v, most));
        return list;
    }
    double real(const char* key, double otherwise) {
        const auto at = values_.find(key);
        if (at == values_.end()) return otherwise;
        if (at->is_number()) return at->get<double>();
        note(key, "is not a number");
        return otherwise;
    }
    bool has(const char* key) const { return values_.contains(key); }
    void note(const std::string& key, const std::string& what) {
        if (problem_.empty()) problem_ = (key.empty() ? "" : "." + key) + " " + what;
    }
    Status status() const {
        if (problem_.empty()) return {};
        return Error{Code::bad_format, fmt::format("{}: {}{}", where_, name_, problem_)};
    }

private:
    std::uint32_t checked(const char* key, const Json& value, std::uint32_t most) {
        if (value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 && value.get<std::uint64_t>() <= most)
            return value.get<std::uint32_t>();
        note(key, fmt::format("is not a number from 1 to {}", most));
        return 1;
    }

    Json values_ = Json::object();
    std::string where_, name_, problem_;
};

struct UnetPlan {
    std::vector<std::uint32_t> mult, attention;  ///< attention: the downsampling factors that have it
    std::vector<std::uint32_t> depth{1};         ///< transformer blocks, one a level or one for all
    std::uint32_t blocks = 2, middle_depth = 1;
    bool attends(std::uint32_t factor) const {
        return std::find(attention.begin(), attention.end(), factor) != attention.end();
    }
    std::uint32_t depth_at(std::size_t level) const { return depth[std::min(level, depth.size() - 1)]; }
};

// The last layers of both networks take the width of the first: the original code builds nothing else either.
constexpr const char* kMultRule = "needs 1 to 16 numbers, the first of them 1";
bool sound(const std::vector<std::uint32_t>& mult) {
    return !mult.empty() && mult.size() <= 16 && mult[0] == 1;
}

UnetLayer transformer(std::string name, std::uint32_t channels, std::uint32_t depth) {
    return {LayerKind::transformer, std::move(name), channels, channels, depth, 4 * channels};
}

void lay_out(UnetConfig& unet, const UnetPlan& plan) {
    std::uint32_t channels = unet.model_channels, factor = 1;
    std::vector<std::uint32_t> skips{channels};
    unet.input_blocks = {{{LayerKind::conv, "input_blocks.0.0", unet.in_channels, channels}}};
    const auto name = [](const char* list, std::size_t block, std::size_t layer) {
        return fmt::format("{}.{}.{}", list, block, layer);
    };
    for (std::size_t level = 0; level < plan.mult.size(); ++level) {
        const std::uint32_t width = plan.mult[level] * unet.model_channels;
        for (std::uint32_t i = 0; i < plan.blocks; ++i) {
            const std::size_t n = unet.input_blocks.size();
            UnetBlock block{{LayerKind::res, name("input_blocks", n, 0), channels, width}};
            channels = width;
            if (plan.attends(factor)) block.push_back(transformer(name("input_blocks", n, 1), channels, plan.depth_at(level)));
            unet.input_blocks.push_back(std::move(block));
            skips.push_back(channels);
        }
        if (level + 1 == plan.mult.size()) break;
        unet.input_blocks.push_back(
            {{LayerKind::downsample, name("input_blocks", unet.input_blocks.size(), 0), channels, channels}});
        skips.push_back(channels);
        factor *= 2;
    }
    unet.middle_block = {{LayerKind::res, "middle_block.0", channels, channels},
                         transformer("middle_block.1", channels, plan.middle_depth),
                         {LayerKind::res, "middle_block.2", channels, channels}};
    for (std::size_t level = plan.mult.size(); level-- > 0;) {
        const std::uint32_t width = plan.mult[level] * unet.model_channels;
        for (std::uint32_t i = 0; i <= plan.blocks; ++i) {
            const std::size_t n = unet.output_blocks.size();
            UnetBlock block{{LayerKind::res, name("output_blocks", n, 0), channels + skips.back(), width}};
            skips.pop_back();
            channels = width;
            if (plan.attends(factor)) block.push_back(transformer(name("output_blocks", n, 1), channels, plan.depth_at(level)));
            if (level > 0 && i == plan.blocks) {
                block.push_back({LayerKind::upsample, name("output_blocks", n, block.size()), channels, channels});
                factor /= 2;
            }
            unet.output_blocks.push_back(std::move(block));
        }
    }
}

/// What the published configuration of a family says where a file's own says nothing.
struct KindDefaults {
    std::uint32_t model_channels = 320, context = 768, head_channels = 0, vector = 0;
    std::vector<std::uint32_t> mult{1, 2, 4, 4}, attention{4, 2, 1}, depth{1};
    bool linear = false;
};

KindDefaults kind_defaults(Family family) {
    KindDefaults d;
    if (family == Family::sd1) return d;
    d.head_channels = 64;
    d.linear = true;
    d.context = 1024;
    if (family == Family::sd2) return d;
    d.attention = {4, 2};
    if (family == Family::sdxl_refiner) {
        d.model_channels = 384;
        d.context = 1280;
        d.vector = 2560;
        d.depth = {4};
        return d;
    }
    d.context = 2048;
    d.vector = 2816;
    d.mult = {1, 2, 4};
    d.depth = {1, 2, 10};
    return d;
}

Result<UnetConfig> unet_from(Section s, Family family) {
    const KindDefaults d = kind_defaults(family);
    UnetConfig unet;
    unet.in_channels = s.number("in_channels", 4, kMaxChannels);
    unet.out_channels = s.number("out_channels", 4, kMaxChannels);
    unet.model_channels = s.number("model_channels", d.model_channels, kMaxChannels);
    unet.time_channels = 4 * unet.model_channels;
    unet.context_channels = s.number("context_dim", d.context, kMaxChannels);
    unet.heads = s.number("num_heads", 8, kMaxChannels);
    unet.head_channels = s.has("num_head_channels") ? s.number("num_head_channels", 64, kMaxChannels)
                         : s.has("num_heads")       ? 0
                                                    : d.head_channels;
    if (unet.head_channels) unet.heads = UnetConfig{}.heads;  // not used then, and compared
    if (d.vector > 0) unet.vector_channels = s.number("adm_in_channels", d.vector, kMaxChannels);
    unet.linear_projections = s.boolean("use_linear_in_transformer", d.linear);
    UnetPlan plan;
    plan.mult = s.numbers("channel_mult", d.mult, 64);
    plan.attention = s.numbers("attention_resolutions", d.attention, 1 << 16);
    plan.blocks = s.number("num_res_blocks", 2, kMaxCount);
    plan.depth = s.number_or_numbers("transformer_depth", d.depth, kMaxCount);
    if (!sound(plan.mult)) s.note("channel_mult", kMultRule);
    if (plan.depth.empty()) s.note("transformer_depth", "is an empty list");
    PUMICE_TRY(s.status());
    plan.middle_depth = s.number("transformer_depth_middle", plan.depth_at(plan.mult.size() - 1), kMaxCount);
    PUMICE_TRY(s.status());
    lay_out(unet, plan);
    return unet;
}

VaeLevel vae_level(std::uint32_t& channels, std::uint32_t width, std::uint32_t blocks, bool resample) {
    VaeLevel level;
    level.resample = resample;
    for (std::uint32_t i = 0; i < blocks; ++i) {
        level.blocks.push_back({channels, width});
        channels = width;
    }
    return level;
}

Result<VaeConfig> vae_from(Section s, double scaling_factor) {
    VaeConfig vae;
    vae.channels = s.number("ch", 128, kMaxChannels);
    vae.z_channels = vae.latent_channels = s.number("z_channels", 4, kMaxChannels);
    vae.scaling_factor = s.real("scale_factor", scaling_factor);
    const auto mult = s.numbers("ch_mult", {1, 2, 4, 4}, 64);
    const std::uint32_t blocks = s.number("num_res_blocks", 2, kMaxCount);
    if (!sound(mult)) s.note("ch_mult", kMultRule);
    if (!(vae.scaling_factor > 0)) s.note("scale_factor", "is not a positive number");
    PUMICE_TRY(s.status());
    std::uint32_t channels = vae.channels;
    for (std::size_t i = 0; i < mult.size(); ++i)
        vae.down.push_back(vae_level(channels, mult[i] * vae.channels, blocks, i + 1 < mult.size()));
    vae.mid_channels = channels;
    vae.up.resize(mult.size());
    for (std::size_t i = mult.size(); i-- > 0;)
        vae.up[i] = vae_level(channels, mult[i] * vae.channels, blocks + 1, i > 0);
    return vae;
}

Result<TextConfig> text_from(Section s, TextConfig text) {
    const TextConfig published = text;
    text.width = s.number("width", published.width, kMaxChannels);
    text.layers = s.number("layers", published.layers, kMaxCount);
    text.heads = s.number("heads", std::max(1u, text.width / 64), kMaxChannels);
    text.ff_channels = s.number("intermediate", 4 * text.width, kMaxChannels);
    text.vocabulary = s.number("vocab", published.vocabulary, kMaxTokens);
    text.positions = s.number("context_length", published.positions, kMaxTokens);
    if (published.projection > 0) text.projection = s.number("projection_dim", text.width, kMaxChannels);
    PUMICE_TRY(s.status());
    return text;
}

/// The sections of a family's text encoders, in the order of text_forms.
std::vector<const char*> text_sections(Family family) {
    if (family == Family::sdxl) return {"text_l", "text_g"};
    return {family == Family::sdxl_refiner ? "text_g" : "text"};
}

}  // namespace

Result<ModelConfig> config_from_json(std::string_view json, const std::string& where) {
    const Json root = Json::parse(json.begin(), json.end(), nullptr, false);
    if (root.is_discarded()) return Error{Code::bad_format, where + ": is not valid JSON"};
    if (!root.is_object()) return Error{Code::bad_format, where + ": is not a JSON object"};
    ModelConfig config;
    if (const auto kind = root.find("kind"); kind != root.end()) {
        if (*kind == "sd2") config.family = Family::sd2;
        else if (*kind == "sdxl") config.family = Family::sdxl;
        else if (*kind == "sdxl_refiner") config.family = Family::sdxl_refiner;
        else if (*kind != "sd1")
            return Error{Code::unsupported, where + ": kind is none of \"sd1\", \"sd2\", \"sdxl\", \"sdxl_refiner\""};
    }
    if (const auto prediction = root.find("prediction"); prediction != root.end()) {
        if (*prediction != "eps" && *prediction != "v")
            return Error{Code::bad_format, where + ": prediction is neither \"eps\" nor \"v\""};
        config.v_prediction = *prediction == "v";
    }
    if (const auto zero = root.find("zero_terminal_snr"); zero != root.end()) {
        if (!zero->is_boolean())
            return Error{Code::bad_format, where + ": zero_terminal_snr is neither true nor false"};
        config.zero_terminal_snr = zero->get<bool>();
    }
    const bool xl = config.family == Family::sdxl || config.family == Family::sdxl_refiner;
    PUMICE_ASSIGN(config.unet, unet_from(Section(root, "unet", where), config.family));
    PUMICE_ASSIGN(config.vae, vae_from(Section(root, "vae", where), xl ? 0.13025 : 0.18215));
    config.text = text_forms(config.family);
    const auto sections = text_sections(config.family);
    for (std::size_t i = 0; i < sections.size(); ++i) {
        PUMICE_ASSIGN(config.text[i], text_from(Section(root, sections[i], where), config.text[i]));
    }
    if (config.family == Family::sd1 && config.unet.in_channels == 9) config.family = Family::sd1_inpainting;
    if (config.family == Family::sd1 && config.unet.in_channels == 8) config.family = Family::sd1_edit;
    return config;
}

}  // namespace pumice
