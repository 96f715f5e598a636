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

class Reader {
public:
    Reader(Recipe& recipe, const std::string& where) : recipe_(recipe), where_(where) {}

    Expected<void> field(const std::string& key, const std::string& value) {
        if (key == "Steps") return set("--steps", key, value);
        if (key == "CFG scale") return set("--cfg", key, value);
        if (key == "Seed") return set("--seed", key, value);
        if (key == "Clip skip") return set("--clip-skip", key, value);
        if (key == "Size") return size(value);
        if (key == "Sampler") return sampler(value);
        if (key == "Schedule type")
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

    void finish() {
        Settings& s = recipe_.settings;
        if (s.sampler && !schedule_.empty()) s.schedule = schedule_named(schedule_, *s.sampler);
        if (s.sampler && !s.schedule) s.schedule = *s.sampler == "ddim" || *s.sampler == "plms" ? "ddim" : "normal";
        if (s.sampler) s.sampler_from = where_ + ": Sampler";
        if (s.schedule) s.schedule_from = where_ + ": Schedule type";
        if (!s.rng) s.rng = "philox";
        if (!s.clip_skip) s.clip_skip = 1;
        s.guidance = "none";
        s.guidance_from = where_;
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

    Expected<void> size(const std::string& value) {
        const std::size_t x = value.find('x');
        if (x == std::string::npos)
            return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: Size: {} is not WIDTHxHEIGHT", where_, shown(value))};
        HOST_TRY(set("--width", "Size", value.substr(0, x)));
        return set("--height", "Size", value.substr(x + 1));
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
    std::string schedule_;
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
    reader.finish();
    return recipe;
}

}  // namespace pumice::host
