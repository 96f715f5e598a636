#include "plugins/check.hpp"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace pumice::plugins {
namespace {

constexpr std::size_t kMostText = 500;
constexpr std::uint32_t kMostMethods = 256, kMostParams = 64, kMostChoices = 256;

Error broken(const std::string& what) {
    return {Code::bad_format, what};
}

/// A lower-case letter, then those, digits and '_'.
bool is_name(const char* text) {
    if (!text || !(text[0] >= 'a' && text[0] <= 'z')) return false;
    std::size_t size = 0;
    for (const char* c = text; *c; ++c, ++size)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_') || size >= 64) return false;
    return true;
}

/// nullptr is "".
std::string text_of(const char* text) {
    return text ? one_line({text, strnlen(text, kMostText + 1)}) : "";
}

Result<Param> read_param(const pumice_param* p, const std::string& where) {
    if (!p) return broken(where + " has a parameter that is NULL");
    if (p->struct_size < sizeof(*p)) return broken(where + " has a parameter of a wrong size");
    if (!is_name(p->id)) return broken(where + " has a parameter whose id is no name");
    const std::string which = fmt::format("parameter {} of {}", p->id, where);
    if (p->type < PUMICE_PARAM_INT || p->type > PUMICE_PARAM_FILE)
        return broken(fmt::format("{} has type {}, which is none", which, p->type));
    if (!p->help || !*p->help) return broken(which + " has no help");
    Param param{p->type, p->id,   text_of(p->help),  text_of(p->unit),         p->least,
                p->most, p->step, p->default_number, text_of(p->default_text), {}};
    const auto in_range = [&](double least, double most) {
        return std::isfinite(least) && std::isfinite(most) && param.default_number >= least &&
               param.default_number <= most;
    };
    const double number = param.default_number;
    if ((param.type == PUMICE_PARAM_INT || param.type == PUMICE_PARAM_FLOAT) && !in_range(param.least, param.most))
        return broken(fmt::format("{} has default {}, not within {} to {}", which, number, param.least, param.most));
    if (param.type == PUMICE_PARAM_INT && number != std::floor(number))
        return broken(which + " is a whole number and its default is not");
    if (param.type == PUMICE_PARAM_BOOL && number != 0 && number != 1)
        return broken(which + " has a default that is neither 0 nor 1");
    if (param.type != PUMICE_PARAM_ENUM) return param;
    if (!p->choices) return broken(which + " has no choices");
    for (std::uint32_t i = 0; p->choices[i]; ++i) {
        if (i >= kMostChoices || !is_name(p->choices[i])) return broken(which + " has a choice that is no name");
        param.choices.emplace_back(p->choices[i]);
    }
    if (number != std::floor(number) || !in_range(0, static_cast<double>(param.choices.size()) - 1))
        return broken(which + " has a default that is none of its choices");
    return param;
}

/// The fields that all kinds share.
template <class Descriptor>
Result<Method> read_method(const Descriptor* d, const char* kind, std::uint32_t index) {
    const std::string place = fmt::format("{} {}", kind, index);
    if (!d) return broken(place + " has no descriptor");
    if (d->struct_size < sizeof(*d)) return broken(place + "'s descriptor has a wrong size");
    if (!is_name(d->name)) return broken(place + " has a name that is none: use a-z, 0-9 and _");
    const std::string where = fmt::format("{} {}", kind, d->name);
    if (!d->label || !*d->label) return broken(where + " has no label");
    if (d->param_count > kMostParams || (d->param_count > 0 && !d->params))
        return broken(fmt::format("{} has {} parameters", where, d->param_count));
    Method method;
    method.name = d->name;
    method.label = text_of(d->label);
    method.help = text_of(d->help);
    method.flags = d->flags;
    for (std::uint32_t i = 0; i < d->param_count; ++i) {
        PUMICE_ASSIGN(Param param, read_param(d->params[i], where));
        for (const Param& other : method.params)
            if (other.id == param.id) return broken(fmt::format("{} has two parameters {}", where, param.id));
        method.params.push_back(std::move(param));
    }
    return method;
}

template <class Extension>
Status check_extension(const Extension* e, const char* id) {
    if (e->struct_size < sizeof(*e)) return broken(fmt::format("its {} has a wrong size", id));
    if (!e->describe || !e->run) return broken(fmt::format("its {} lacks a function", id));
    if (e->count == 0 || e->count > kMostMethods)
        return broken(fmt::format("its {} has {} entries, not 1 to {}", id, e->count, kMostMethods));
    return {};
}

Status read_upscalers(const pumice_upscaler_1& e, pumice_plugin* plugin, std::vector<Method>& methods) {
    PUMICE_TRY(check_extension(&e, PUMICE_UPSCALER_1));
    for (std::uint32_t i = 0; i < e.count; ++i) {
        const pumice_upscaler_descriptor* d = e.describe(plugin, i);
        PUMICE_ASSIGN(Method method, read_method(d, "upscaler", i));
        const bool needs_model = (d->flags & PUMICE_UPSCALER_NEEDS_MODEL) != 0;
        if (needs_model && !e.inspect)
            return broken(fmt::format("upscaler {} needs a model and cannot inspect one", method.name));
        const bool from_model = needs_model && d->scale == 0;
        if (!from_model && !(d->scale >= 1.0 / 16 && d->scale <= 64))
            return broken(fmt::format("upscaler {} has a factor of {}, not 1/16 to 64", method.name, d->scale));
        method.scale = d->scale;
        methods.push_back(std::move(method));
    }
    return {};
}

/// Of a kind whose descriptors have no field of their own.
template <class Extension>
Status read_plain(const Extension& e, const char* id, const char* kind, pumice_plugin* plugin,
                  std::vector<Method>& methods) {
    PUMICE_TRY(check_extension(&e, id));
    for (std::uint32_t i = 0; i < e.count; ++i) {
        PUMICE_ASSIGN(Method method, read_method(e.describe(plugin, i), kind, i));
        methods.push_back(std::move(method));
    }
    return {};
}

Status no_twins(const std::vector<Method>& methods, const char* kind) {
    for (std::size_t i = 0; i < methods.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (methods[i].name == methods[j].name)
                return broken(fmt::format("it has two {}s {}", kind, methods[i].name));
    return {};
}

}  // namespace

bool is_id(const char* text) {
    if (!text || !*text || *text == '.' || *text == '-') return false;
    std::size_t size = 0;
    for (const char* c = text; *c; ++c, ++size) {
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!(letter || *c == '.' || *c == '-' || *c == '_') || size >= 64) return false;
    }
    return true;
}

std::string one_line(std::string_view text) {
    std::string line = nlohmann::json(std::string(text.substr(0, kMostText)))
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    line = nlohmann::json::parse(line).get<std::string>();
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    return text.size() > kMostText ? line + "…" : line;
}

Result<Description> read_descriptor(const pumice_plugin_descriptor* d) {
    if (!d) return broken("a plugin has no descriptor");
    if (d->struct_size < sizeof(*d)) return broken("a plugin's descriptor has a wrong size");
    if (!is_id(d->id)) return broken("a plugin's id is none: use letters, digits, '.', '-' and '_'");
    if (!d->name || !*d->name || !d->version || !*d->version)
        return broken(fmt::format("plugin {} has no name or no version", d->id));
    Description description;
    description.id = d->id;
    description.name = text_of(d->name);
    description.version = text_of(d->version);
    description.vendor = text_of(d->vendor);
    description.licence = text_of(d->licence);
    description.description = text_of(d->description);
    return description;
}

Status read_extensions(const Instance& instance, Description& description) {
    pumice_plugin* plugin = instance.plugin();
    if (const pumice_sampler_1* e = instance.sampler()) {
        PUMICE_TRY(check_extension(e, PUMICE_SAMPLER_1));
        for (std::uint32_t i = 0; i < e->count; ++i) {
            const pumice_sampler_descriptor* d = e->describe(plugin, i);
            PUMICE_ASSIGN(Method method, read_method(d, "sampler", i));
            if (d->schedule && !is_name(d->schedule))
                return broken(fmt::format("sampler {} names a schedule that is none", method.name));
            method.schedule = text_of(d->schedule);
            if (d->calls_per_step < 1 || d->calls_per_step > 16)
                return broken(fmt::format("sampler {} has {} calls a step", method.name, d->calls_per_step));
            method.calls_per_step = d->calls_per_step;
            description.samplers.push_back(std::move(method));
        }
    }
    if (const pumice_schedule_1* e = instance.schedule()) {
        PUMICE_TRY(check_extension(e, PUMICE_SCHEDULE_1));
        for (std::uint32_t i = 0; i < e->count; ++i) {
            PUMICE_ASSIGN(Method method, read_method(e->describe(plugin, i), "schedule", i));
            description.schedules.push_back(std::move(method));
        }
    }
    if (const pumice_guidance_1* e = instance.guidance()) {
        PUMICE_TRY(check_extension(e, PUMICE_GUIDANCE_1));
        for (std::uint32_t i = 0; i < e->count; ++i) {
            PUMICE_ASSIGN(Method method, read_method(e->describe(plugin, i), "guidance", i));
            if ((method.flags & PUMICE_GUIDANCE_PERTURBED) != 0 && !e->perturbed_blocks)
                return broken(fmt::format("guidance {} asks for a perturbed answer and lacks perturbed_blocks",
                                          method.name));
            description.guidances.push_back(std::move(method));
        }
    }
    if (const pumice_control_1* e = instance.control()) {
        if (e->struct_size < sizeof(*e)) return broken("its " PUMICE_CONTROL_1 " has a wrong size");
        if (!e->describe || !e->open || !e->prepare || !e->step) return broken("its " PUMICE_CONTROL_1 " lacks a function");
        if (e->count == 0 || e->count > kMostMethods)
            return broken(fmt::format("its {} has {} entries, not 1 to {}", PUMICE_CONTROL_1, e->count, kMostMethods));
        for (std::uint32_t i = 0; i < e->count; ++i) {
            PUMICE_ASSIGN(Method method, read_method(e->describe(plugin, i), "control", i));
            description.controls.push_back(std::move(method));
        }
    }
    if (const pumice_upscaler_1* e = instance.upscaler()) PUMICE_TRY(read_upscalers(*e, plugin, description.upscalers));
    if (const pumice_preprocessor_1* e = instance.preprocessor())
        PUMICE_TRY(read_plain(*e, PUMICE_PREPROCESSOR_1, "preprocessor", plugin, description.preprocessors));
    if (const pumice_image_filter_1* e = instance.image_filter())
        PUMICE_TRY(read_plain(*e, PUMICE_IMAGE_FILTER_1, "image filter", plugin, description.image_filters));
    if (description.kinds().empty())
        return broken(fmt::format("plugin {} has no extension that this version knows", description.id));
    for (const Kind& kind : kKinds) PUMICE_TRY(no_twins(description.*kind.list, kind.name));
    return {};
}

}  // namespace pumice::plugins
