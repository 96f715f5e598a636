// AUTOMATIC1111's parameters text. As modules/infotext_utils.py of the web UI reads it.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "image/recipe.hpp"
#include "outcome.hpp"

namespace pumice::host {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n\f\v";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_key_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ' ' ||
           c == '-' || c == '/' || byte >= 0x80;
}

/// The end of a quoted value that begins at text[0], or 0 when its quote is never closed.
std::size_t quoted_end(std::string_view text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            return i + 1;
    }
    return 0;
}

/// "Key: value, Key: "quoted, value"". What is between and fits nothing is passed over, as the web UI does.
Fields fields_of(std::string_view line) {
    Fields fields;
    while (!line.empty()) {
        line = trimmed(line);
        std::size_t colon = 0;
        while (colon < line.size() && is_key_character(line[colon])) ++colon;
        if (colon == 0 || colon >= line.size() || line[colon] != ':') {
            const std::size_t comma = line.find(',');
            if (comma == std::string_view::npos) break;
            line.remove_prefix(comma + 1);
            continue;
        }
        const std::string key(trimmed(line.substr(0, colon)));
        line = line.substr(colon + 1);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        std::size_t end = !line.empty() && line[0] == '"' ? quoted_end(line) : 0;
        std::string value;
        if (end > 0) {
            const auto json = nlohmann::json::parse(line.substr(0, end), nullptr, false);
            value = json.is_string() ? json.get<std::string>() : std::string(line.substr(0, end));
            line.remove_prefix(end);
        } else {
            end = std::min(line.find(','), line.size());
            value = trimmed(line.substr(0, end));
            line.remove_prefix(end);
        }
        if (!line.empty() && line[0] == ',') line.remove_prefix(1);
        fields.emplace_back(key, value);
    }
    return fields;
}

/// The three parts of the text.
struct Parts {
    std::string prompt, negative;
    Fields fields;
};

Parts parts_of(std::string_view text) {
    constexpr std::string_view kNegative = "Negative prompt:";
    constexpr std::size_t kFewest = 3;  // fields, below which the last line is the prompt's
    Parts parts;
    text = trimmed(text);
    const std::size_t last = text.rfind('\n');
    const std::string_view line = last == std::string_view::npos ? text : text.substr(last + 1);
    if (Fields fields = fields_of(line); fields.size() >= kFewest) {
        parts.fields = std::move(fields);
        text = last == std::string_view::npos ? std::string_view() : text.substr(0, last);
    }
    bool negative = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view row = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (row.starts_with(kNegative)) {
            negative = true;
            row = trimmed(row.substr(kNegative.size()));
        }
        std::string& to = negative ? parts.negative : parts.prompt;
        to += fmt::format("{}{}", to.empty() ? "" : "\n", row);
    }
    return parts;
}

/// What has an option of its own, with the same values.
constexpr std::pair<std::string_view, const char*> kOptions[] = {
    {"Steps", "--steps"},
    {"CFG scale", "--cfg"},
    {"Seed", "--seed"},
    {"Clip skip", "--clip-skip"},
    {"Variation seed", "--variation-seed"},
    {"Variation seed strength", "--variation-strength"},
    {"ENSD", "--ensd"},
    {"Mask blur", "--mask-blur"},
    {"Masked area padding", "--mask-padding"},
    {"Image CFG scale", "--image-cfg"},
    {"Hires upscale", "--hires"},
    {"Hires steps", "--hires-steps"},
    {"Refiner switch at", "--refiner-switch"},
    {"Tile", "--tile"},
    {"Tile overlap", "--tile-overlap"},
    {"Stopped at step", "--stop-at"}};

/// The names in "name: hash, name: hash".
std::vector<Recipe::Network> networks_of(std::string_view text) {
    std::vector<Recipe::Network> networks;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        const std::string_view name = trimmed(part.substr(0, part.rfind(':')));
        if (!name.empty()) networks.push_back({std::string(name), "", ""});
    }
    return networks;
}

class Reader {
public:
    Reader(Recipe& recipe, const std::string& where) : recipe_(recipe), where_(where) {}

    Expected<void> field(const std::string& key, const std::string& value) {
        for (const auto& [name, flag] : kOptions)
            if (key == name) return set(flag, key, value);
        if (key == "Size") return size("Size", value, "--width", "--height");
        if (key == "Seed resize from") return size(key, value, "--seed-width", "--seed-height");
        if (key == "Sampler") return sampler(value);
        if (key == "Denoising strength")
            strength_ = value;
        else if (key == "Hires upscaler")
            upscaler_ = value;
        else if (key == "Hires sampler")
            recipe_.settings.hires_sampler = sampler_named(value).sampler;
        else if (key == "Tiling" && value != "False")
            recipe_.settings.seamless = value == "x" || value == "y" ? value : "both";
        else if (key == "Emphasis" && (value == "No norm" || value == "Original"))
            recipe_.settings.emphasis = value == "Original" ? "original" : "no-norm";
        else if (key == "Inpaint area" && value == "Only masked")
            recipe_.only_masked = true;
        else if (key == "Masked content")
            return set("--mask-fill", key, value == "latent noise" ? "noise" : value == "latent nothing" ? "nothing" : value);
        else if (key == "Refiner")
            refiner(value);
        else if (key == "Lora hashes")
            recipe_.loras = networks_of(value);
        else if (key == "TI hashes")
            recipe_.embeddings = networks_of(value);
        else if (key == "Schedule type")
            schedule_ = value;
        else if (key == "Model hash")
            file(recipe_.model).hash = value;
        else if (key == "Model")
            file(recipe_.model).name = value;
        else if (key == "VAE hash")
            file(recipe_.vae).hash = value;
        else if (key == "VAE")
            file(recipe_.vae).name = stem(value);
        else if (key == "RNG")
            recipe_.settings.rng = value == "CPU" ? "torch-cpu" : "philox";
        else if (key == "Version")
            recipe_.source = value.starts_with("pumice") ? value : "AUTOMATIC1111's web UI " + value;
        else
            recipe_.others.emplace_back(key, value);
        return {};
    }

    Expected<void> finish() {
        Settings& s = recipe_.settings;
        HOST_TRY(second_pass());
        recipe_.lacks_mask = s.mask_blur.has_value();
        if (s.sampler && !schedule_.empty()) s.schedule = schedule_named(schedule_, *s.sampler);
        if (s.sampler && !s.schedule) s.schedule = *s.sampler == "ddim" || *s.sampler == "plms" ? "ddim" : "normal";
        if (s.sampler) s.sampler_from = where_ + ": Sampler";
        if (s.schedule) s.schedule_from = where_ + ": Schedule type";
        if (!s.rng) s.rng = "philox";
        if (!s.clip_skip) s.clip_skip = 1;
        s.guidance = "none";
        s.guidance_from = where_;
        return {};
    }

private:
    static Recipe::File& file(std::optional<Recipe::File>& file) {
        if (!file) file.emplace();
        return *file;
    }
    static std::string stem(const std::string& name) {
        const std::size_t dot = name.rfind('.');
        return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
    }

    Expected<void> set(const char* flag, const std::string& key, const std::string& value) {
        auto done = set_from_text(recipe_.settings, *find_flag(flag), value, fmt::format("{}: {}", where_, key));
        if (!done) return Failure{PUMICE_BAD_FORMAT, done.failure().message};
        return {};
    }

    Expected<void> size(const std::string& key, const std::string& value, const char* width, const char* height) {
        const std::size_t x = value.find('x');
        if (x == std::string::npos)
            return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: {}: {} is not WIDTHxHEIGHT", where_, key, shown(value))};
        HOST_TRY(set(width, key, value.substr(0, x)));
        return set(height, key, value.substr(x + 1));
    }

    /// "name [hash]".
    void refiner(const std::string& value) {
        const std::size_t bracket = value.rfind(" [");
        const bool hashed = bracket != std::string::npos && value.ends_with(']');
        file(recipe_.refiner).name = stem(value.substr(0, hashed ? bracket : value.size()));
        if (hashed) recipe_.refiner->hash = value.substr(bracket + 2, value.size() - bracket - 3);
    }

    /// A strength is of the second pass, or else of a picture to begin with.
    Expected<void> second_pass() {
        Settings& s = recipe_.settings;
        const char* const key = "Denoising strength";
        if (!s.hires) {
            for (const auto& [name, value] : recipe_.others)
                if (name == "First pass size") return {};  // a second pass as the web UI had it before 1.0
            recipe_.lacks_picture = !strength_.empty();
            return strength_.empty() ? Expected<void>() : set("--strength", key, strength_);
        }
        if (!strength_.empty()) HOST_TRY(set("--hires-strength", key, strength_));
        if (upscaler_ == "Lanczos" || upscaler_ == "None")
            s.hires_upscaler = "lanczos";
        else if (upscaler_ == "lanczos" || upscaler_ == "bicubic" || upscaler_ == "nearest")
            s.hires_upscaler = upscaler_;
        else if (upscaler_.starts_with("Latent ("))
            recipe_.others.emplace_back("Hires upscaler", upscaler_);
        else if (!upscaler_.empty() && upscaler_ != "Latent")
            recipe_.hires_model = Recipe::Input{upscaler_, ""};
        return {};
    }

    Expected<void> sampler(const std::string& value) {
        const SamplerName name = sampler_named(value);
        recipe_.settings.sampler = name.sampler;
        if (!name.schedule.empty()) recipe_.settings.schedule = name.schedule;
        recipe_.settings.plugin_params.insert(name.params.begin(), name.params.end());
        if (!name.sampler.empty()) return {};
        return Failure{PUMICE_BAD_FORMAT, where_ + ": Sampler: it has no name"};
    }

    Recipe& recipe_;
    const std::string& where_;
    std::string schedule_, strength_, upscaler_;
};

}  // namespace

Expected<Recipe> parse_infotext(std::string_view text, const std::string& where) {
    Parts parts = parts_of(text);
    if (parts.fields.empty())
        return Failure{PUMICE_BAD_FORMAT,
                       where + ": its last line has no settings, as \"Steps: 20, Sampler: Euler a, …\""};
    Recipe recipe;
    recipe.source = "AUTOMATIC1111's web UI";
    recipe.prompt = std::move(parts.prompt);
    recipe.settings.negative_prompt = std::move(parts.negative);
    Reader reader(recipe, where);
    for (const auto& [key, value] : parts.fields) HOST_TRY(reader.field(key, value));
    HOST_TRY(reader.finish());
    return recipe;
}

}  // namespace pumice::host
