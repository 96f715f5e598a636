// A method of a loaded plugin, ready to be run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugins/library.hpp"
#include "plugins/params.hpp"

namespace pumice::plugins {

/// A method's parameters as its plugin is given them; the texts are those of `params`.
std::vector<pumice_param_value> values_of(const Method&, const std::vector<ParamValue>& params);

/// A sampler, schedule, upscaler, ... of a loaded library, with values for its parameters.
struct PluginMethod {
    std::string id;  ///< of the plugin
    std::shared_ptr<Library> library;
    std::uint32_t plugin = 0;  ///< in the library
    std::uint32_t index = 0;   ///< in the plugin's extension
    Method method;
    std::vector<ParamValue> params;

    /// As the plugin is given them; the texts are this object's.
    std::vector<pumice_param_value> values() const { return values_of(method, params); }
    /// An error of it: begins with its id.
    Error error(Error error) const;

    /// Whether the extension still has at the index what it had when it was tried out: verdicts are kept in a file, and a
    /// plugin trusts the index it is given.
    template <class Extension>
    Status check(const Extension* extension, const Instance& instance) const {
        if (extension && index < extension->count) {
            const auto* now = extension->describe(instance.plugin(), index);
            if (now && now->name && method.name == now->name && now->param_count == params.size()) return {};
        }
        return error({Code::internal,
                      "it no longer has what it had when it was tried out; run pumice plugins list --probe"});
    }
};

}  // namespace pumice::plugins
