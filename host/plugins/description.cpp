#include "plugins/description.hpp"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "pumice/sdk/params.h"

namespace pumice::plugins {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTypes[] = {"", "int", "float", "bool", "enum", "string", "file"};

Json params_json(const std::vector<Param>& params) {
    Json list = Json::array();
    for (const Param& p : params) {
        Json json = {{"id", p.id}, {"type", kTypes[p.type]}, {"help", p.help}};
        if (!p.unit.empty()) json["unit"] = p.unit;
        if (p.type == PUMICE_PARAM_INT || p.type == PUMICE_PARAM_FLOAT) {
            json["least"] = p.least;
            json["most"] = p.most;
            if (p.step != 0) json["step"] = p.step;
        }
        if (p.type == PUMICE_PARAM_ENUM) json["choices"] = p.choices;
        if (p.type == PUMICE_PARAM_STRING || p.type == PUMICE_PARAM_FILE)
            json["default"] = p.default_text;
        else
            json["default"] = p.default_number;
        list.push_back(std::move(json));
    }
    return list;
}

Json methods_json(const std::vector<Method>& methods) {
    Json list = Json::array();
    for (const Method& m : methods) {
        Json json = {{"name", m.name}, {"label", m.label}, {"help", m.help}, {"flags", m.flags}};
        if (!m.schedule.empty()) json["schedule"] = m.schedule;
        if (m.calls_per_step != 1) json["calls_per_step"] = m.calls_per_step;
        if (m.scale != 0) json["scale"] = m.scale;
        json["params"] = params_json(m.params);
        list.push_back(std::move(json));
    }
    return list;
}

/// What is true of every parameter that a library has been asked for (check.cpp), and others rely on.
void check(const Param& p) {
    const auto wrong = [&](const char* what) { throw std::invalid_argument("parameter " + p.id + " has " + what); };
    if (p.type == 0) wrong("no type");
    const bool number = p.type == PUMICE_PARAM_INT || p.type == PUMICE_PARAM_FLOAT;
    const bool choice = p.type == PUMICE_PARAM_ENUM;
    const double least = number ? p.least : 0, most = number ? p.most : choice ? double(p.choices.size()) - 1 : 1;
    if (p.type <= PUMICE_PARAM_ENUM && !(p.default_number >= least && p.default_number <= most))
        wrong("a default outside its range");
    if (!number && p.default_number != std::floor(p.default_number)) wrong("a default that is none of its choices");
}

/// Throws nlohmann's exceptions and std::invalid_argument, which description_from_json catches.
Param read_param(const nlohmann::json& json) {
    Param p;
    const std::string type = json.at("type").get<std::string>();
    for (std::int32_t i = 1; i < static_cast<std::int32_t>(std::size(kTypes)); ++i)
        if (type == kTypes[i]) p.type = i;
    json.at("id").get_to(p.id);
    json.at("help").get_to(p.help);
    p.unit = json.value("unit", "");
    p.least = json.value("least", 0.0);
    p.most = json.value("most", 0.0);
    p.step = json.value("step", 0.0);
    p.choices = json.value("choices", std::vector<std::string>());
    if (json.at("default").is_string())
        json.at("default").get_to(p.default_text);
    else
        json.at("default").get_to(p.default_number);
    check(p);
    return p;
}

std::vector<Method> read_methods(const nlohmann::json& list) {
    std::vector<Method> methods;
    for (const auto& json : list) {
        Method m;
        json.at("name").get_to(m.name);
        json.at("label").get_to(m.label);
        json.at("help").get_to(m.help);
        json.at("flags").get_to(m.flags);
        m.schedule = json.value("schedule", "");
        m.calls_per_step = json.value("calls_per_step", 1u);
        m.scale = json.value("scale", 0.0);
        for (const auto& param : json.at("params")) m.params.push_back(read_param(param));
        methods.push_back(std::move(m));
    }
    return methods;
}

}  // namespace

std::string Description::kinds() const {
    std::string kinds;
    for (const Kind& kind : kKinds)
        if (!(this->*kind.list).empty()) kinds += (kinds.empty() ? "" : ", ") + std::string(kind.name);
    return kinds;
}

std::vector<std::string> Description::extensions() const {
    std::vector<std::string> ids;
    for (const Kind& kind : kKinds)
        if (!(this->*kind.list).empty()) ids.emplace_back(kind.extension);
    return ids;
}

Json to_json(const Description& d) {
    Json json = {{"id", d.id},         {"name", d.name},       {"version", d.version},
                 {"vendor", d.vendor}, {"licence", d.licence}, {"description", d.description},
                 {"extensions", d.extensions()}};
    for (const Kind& kind : kKinds) json[kind.plural] = methods_json(d.*kind.list);
    return json;
}

Result<Description> description_from_json(const nlohmann::json& json) {
    try {
        Description d;
        json.at("id").get_to(d.id);
        json.at("name").get_to(d.name);
        json.at("version").get_to(d.version);
        json.at("vendor").get_to(d.vendor);
        json.at("licence").get_to(d.licence);
        json.at("description").get_to(d.description);
        for (const Kind& kind : kKinds) d.*kind.list = read_methods(json.at(kind.plural));
        return d;
    } catch (const std::exception& e) {
        return Error{Code::bad_format, std::string("not a plugin's description: ") + e.what()};
    }
}

}  // namespace pumice::plugins
