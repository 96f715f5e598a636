#include "plugins/plugin_method.hpp"

#include <fmt/format.h>

namespace pumice::plugins {

std::vector<pumice_param_value> values_of(const Method& method, const std::vector<ParamValue>& params) {
    std::vector<pumice_param_value> values;
    for (std::size_t i = 0; i < params.size(); ++i) {
        const std::int32_t type = method.params[i].type;
        const bool text = type == PUMICE_PARAM_STRING || type == PUMICE_PARAM_FILE;
        values.push_back({params[i].number, text ? params[i].text.c_str() : nullptr});
    }
    return values;
}

Error PluginMethod::error(Error error) const {
    error.message = fmt::format("plugin {}: {}", id, error.message);
    return error;
}

}  // namespace pumice::plugins
