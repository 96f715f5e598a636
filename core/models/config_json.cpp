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
    std::uint32_t blocks = 2, depth = 1;
    bool attends(std::uint32_t factor) const {
        return std::find(attention.begin(), attention.end(), factor) != attention.end();
    }
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
            if (plan.attends(factor)) block.push_back(transformer(name("input_blocks", n, 1), channels, plan.depth));
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
                         transformer("middle_block.1", channels, plan.depth),
                         {LayerKind::res, "middle_block.2", channels, channels}};
    for (std::size_t level = plan.mult.size(); level-- > 0;) {
        const std::uint32_t width = plan.mult[level] * unet.model_channels;
        for (std::uint32_t i = 0; i <= plan.blocks; ++i) {
            const std::size_t n = unet.output_blocks.size();
            UnetBlock block{{LayerKind::res, name("output_blocks", n, 0), channels + skips.back(), width}};
            skips.pop_back();
            channels = width;
            if (plan.attends(factor)) block.push_back(transformer(name("output_blocks", n, 1), channels, plan.depth));
            if (level > 0 && i == plan.blocks) {
                block.push_back({LayerKind::upsample, name("output_blocks", n, block.size()), channels, channels});
                factor /= 2;
            }
            unet.output_blocks.push_back(std::move(block));
        }
    }
}

Result<UnetConfig> unet_from(Section s) {
    UnetConfig unet;
    unet.in_channels = s.number("in_channels", 4, kMaxChannels);
    unet.out_channels = s.number("out_channels", 4, kMaxChannels);
    unet.model_channels = s.number("model_channels", 320, kMaxChannels);
    unet.time_channels = 4 * unet.model_channels;
    unet.context_channels = s.number("context_dim", 768, kMaxChannels);
    unet.heads = s.number("num_heads", 8, kMaxChannels);
    UnetPlan plan;
    plan.mult = s.numbers("channel_mult", {1, 2, 4, 4}, 64);
    plan.attention = s.numbers("attention_resolutions", {4, 2, 1}, 1 << 16);
    plan.blocks = s.number("num_res_blocks", 2, kMaxCount);
    plan.depth = s.number("transformer_depth", 1, kMaxCount);
    if (!sound(plan.mult)) s.note("channel_mult", kMultRule);
    if (s.has("num_head_channels")) s.note("num_head_channels", "is not of Stable Diffusion 1.x: give num_heads");
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

Result<VaeConfig> vae_from(Section s) {
    VaeConfig vae;
    vae.channels = s.number("ch", 128, kMaxChannels);
    vae.z_channels = vae.latent_channels = s.number("z_channels", 4, kMaxChannels);
    vae.scaling_factor = s.real("scale_factor", 0.18215);
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

Result<TextConfig> text_from(Section s) {
    TextConfig text;
    text.width = s.number("width", 768, kMaxChannels);
    text.layers = s.number("layers", 12, kMaxCount);
    text.heads = s.number("heads", std::max(1u, text.width / 64), kMaxChannels);
    text.ff_channels = s.number("intermediate", 4 * text.width, kMaxChannels);
    text.vocabulary = s.number("vocab", 49408, kMaxTokens);
    text.positions = s.number("context_length", 77, kMaxTokens);
    PUMICE_TRY(s.status());
    return text;
}

}  // namespace

Result<Sd1Config> config_from_json(std::string_view json, const std::string& where) {
    const Json root = Json::parse(json.begin(), json.end(), nullptr, false);
    if (root.is_discarded()) return Error{Code::bad_format, where + ": is not valid JSON"};
    if (!root.is_object()) return Error{Code::bad_format, where + ": is not a JSON object"};
    if (const auto kind = root.find("kind"); kind != root.end() && *kind != "sd1")
        return Error{Code::unsupported, where + ": kind is not \"sd1\""};
    Sd1Config config;
    if (const auto prediction = root.find("prediction"); prediction != root.end()) {
        if (*prediction != "eps" && *prediction != "v")
            return Error{Code::bad_format, where + ": prediction is neither \"eps\" nor \"v\""};
        config.v_prediction = *prediction == "v";
    }
    PUMICE_ASSIGN(config.unet, unet_from(Section(root, "unet", where)));
    PUMICE_ASSIGN(config.vae, vae_from(Section(root, "vae", where)));
    PUMICE_ASSIGN(config.text, text_from(Section(root, "text", where)));
    return config;
}

}  // namespace pumice
