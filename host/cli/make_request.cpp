#include "cli/make_request.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include <fmt/format.h>

#include "cli/starter.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

/// 32 bits, which every random number generator takes whole.
std::uint64_t random_seed() {
    return std::random_device()();
}

/// "WIDTHxHEIGHT", or a number for both.
Expected<void> set_tile(const host::Settings& s, Request& request) {
    if (!s.tile) {
        if (s.tile_overlap) return Failure{PUMICE_INVALID_ARGUMENT, "--tile-overlap needs the tiles: --tile WIDTHxHEIGHT"};
        return {};
    }
    const std::string& text = *s.tile;
    const std::size_t x = std::min(text.find('x'), text.size());
    const auto number = [](std::string_view digits, std::uint32_t& value) {
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return error == std::errc() && end == digits.data() + digits.size() && value % 8 == 0 && value >= 64 && value <= 16384;
    };
    const std::string_view all(text), second = x < text.size() ? all.substr(x + 1) : all;
    if (!number(all.substr(0, x), request.tile_width) || !number(second, request.tile_height))
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--tile: {} is not WIDTHxHEIGHT, with multiples of 8 from 64 to 16384", host::shown(text))};
    // Half, as it is usual.
    const std::uint32_t least = std::min(request.tile_width, request.tile_height);
    request.tile_overlap = s.tile_overlap ? static_cast<std::uint32_t>(*s.tile_overlap) : least / 16 * 8;
    if (request.tile_overlap < least) return {};
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("--tile-overlap: {} is not less than the tile's side of {}", request.tile_overlap, least)};
}

}  // namespace

Expected<Request> make_request(const Model& model, const host::Settings& s, const std::string& prompt) {
    Request request = model.defaults();
    const auto set = [](std::uint32_t& value, const std::optional<std::uint64_t>& setting) {
        if (setting) value = static_cast<std::uint32_t>(*setting);
    };
    request.prompt = prompt;
    request.negative_prompt = s.negative_prompt.value_or("");
    set(request.width, s.width);
    set(request.height, s.height);
    set(request.steps, s.steps);
    set(request.batch, s.batch);
    set(request.clip_skip, s.clip_skip);
    if (s.cfg) request.guidance_scale = static_cast<float>(*s.cfg);
    request.sampler = s.sampler.value_or(request.sampler);
    request.schedule = s.schedule.value_or(request.schedule);
    // "none" overrules a configuration file.
    if (s.guidance && *s.guidance != "none") request.guidance = *s.guidance;
    const auto set_real = [](float& value, const std::optional<double>& setting) {
        if (setting) value = static_cast<float>(*setting);
    };
    set(request.original_width, s.original_width);
    set(request.original_height, s.original_height);
    set(request.crop_left, s.crop_left);
    set(request.crop_top, s.crop_top);
    set(request.target_width, s.target_width);
    set(request.target_height, s.target_height);
    set_real(request.aesthetic_score, s.aesthetic_score);
    set_real(request.negative_aesthetic_score, s.negative_aesthetic_score);
    set_real(request.refiner_switch, s.refiner_switch);
    request.seed = s.seed ? *s.seed : random_seed();
    request.variation_seed = s.variation_seed ? *s.variation_seed : random_seed();
    set_real(request.variation_strength, s.variation_strength);
    set(request.seed_width, s.seed_width);
    set(request.seed_height, s.seed_height);
    request.eta_seed_delta = s.eta_seed_delta.value_or(0);
    const std::string seamless = s.seamless.value_or("none");
    request.seamless_x = seamless == "x" || seamless == "both";
    request.seamless_y = seamless == "y" || seamless == "both";
    if (s.rng.value_or("torch-cpu") == "philox") request.rng = PUMICE_RNG_PHILOX;
    if (s.emphasis.value_or("original") == "no-norm") request.emphasis = PUMICE_EMPHASIS_NO_NORM;
    set(request.stop_at, s.stop_at);
    HOST_TRY(set_tile(s, request));
    return request;
}

namespace {

pumice_mask_fill fill_of(const std::string& name) {
    if (name == "fill") return PUMICE_MASK_FILL;
    if (name == "noise") return PUMICE_MASK_NOISE;
    return name == "nothing" ? PUMICE_MASK_NOTHING : PUMICE_MASK_ORIGINAL;
}

std::uint32_t extended_width(const Picture& p) {
    return p.width + p.extend_left + p.extend_right;
}
std::uint32_t extended_height(const Picture& p) {
    return p.height + p.extend_top + p.extend_bottom;
}

}  // namespace

Expected<std::optional<Picture>> read_picture(const CommandLine& line, const host::Settings& s) {
    if (!line.init_image) return std::optional<Picture>{};
    HOST_ASSIGN(const host::DecodedImage image, host::read_png(*line.init_image));
    Picture picture;
    picture.width = image.width;
    picture.height = image.height;
    picture.rgb = host::on_white(image);
    if (line.mask) {
        HOST_ASSIGN(const host::DecodedImage mask, host::read_png(*line.mask));
        picture.mask_width = mask.width;
        picture.mask_height = mask.height;
        picture.mask = host::to_gray(host::on_white(mask));
    }
    if (s.strength) picture.strength = static_cast<float>(*s.strength);
    if (s.mask_blur) picture.mask_blur = static_cast<float>(*s.mask_blur);
    if (s.image_cfg) picture.image_guidance_scale = static_cast<float>(*s.image_cfg);
    if (s.mask_padding) picture.mask_padding = static_cast<std::uint32_t>(*s.mask_padding);
    const std::string resize = s.resize_mode.value_or("stretch");
    picture.resize = resize == "crop"   ? PUMICE_RESIZE_CROP
                     : resize == "fill" ? PUMICE_RESIZE_FILL
                                        : PUMICE_RESIZE_STRETCH;
    picture.fill = fill_of(s.mask_fill.value_or("original"));
    picture.only_masked = line.only_masked;
    if (line.outpaint) {
        const Outpaint& o = *line.outpaint;
        picture.extend_left = o.left;
        picture.extend_top = o.top;
        picture.extend_right = o.right;
        picture.extend_bottom = o.bottom;
        // Up to multiples of 8, at an edge that moves anyway.
        (o.right ? picture.extend_right : picture.extend_left) += (8 - extended_width(picture) % 8) % 8;
        (o.bottom ? picture.extend_bottom : picture.extend_top) += (8 - extended_height(picture) % 8) % 8;
        if (!s.mask_fill) picture.fill = PUMICE_MASK_FILL;
    }
    return std::optional<Picture>(std::move(picture));
}

void size_like(const Picture& picture, const host::Settings& s, bool outpainted, Request& request) {
    const auto near = [](std::uint32_t side) { return std::clamp(side / 8 * 8, 64u, 16384u); };
    if (!outpainted && (s.width || s.height || picture.only_masked)) return;
    request.width = near(extended_width(picture));
    request.height = near(extended_height(picture));
}

Expected<std::optional<Hires>> make_hires(const host::Settings& s, const Request& request) {
    if (!s.hires) {
        for (const auto& [given, flag] : {std::pair{s.hires_steps.has_value(), "--hires-steps"},
                                          {s.hires_strength.has_value(), "--hires-strength"},
                                          {s.hires_sampler.has_value(), "--hires-sampler"},
                                          {s.hires_upscaler.has_value(), "--hires-upscaler"},
                                          {s.hires_model.has_value(), "--hires-model"}})
            if (given)
                return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{} needs how much larger: --hires SCALE", flag)};
        return std::optional<Hires>{};
    }
    const auto scaled = [&](std::uint32_t side) {
        return static_cast<std::uint32_t>(double(side) * *s.hires) / 8 * 8;
    };
    Hires hires;
    hires.width = scaled(request.width);
    hires.height = scaled(request.height);
    hires.steps = static_cast<std::uint32_t>(s.hires_steps.value_or(0));
    if (s.hires_strength) hires.strength = static_cast<float>(*s.hires_strength);
    hires.sampler = s.hires_sampler.value_or("");
    if (const std::string upscaler = s.hires_upscaler.value_or(""); upscaler != "latent") hires.upscaler = upscaler;
    if (s.hires_model) {
        HOST_ASSIGN(const fs::path file, find_model(*s.hires_model, s, ModelKind::upscaler));
        hires.upscaler_model = file.string();
    }
    return std::optional<Hires>(std::move(hires));
}

}  // namespace pumice::cli
