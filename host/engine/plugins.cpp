#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "plugins/verify.hpp"

namespace pumice {
namespace {

Result<std::unique_ptr<pumice_plugins>> find_plugins(const pumice_plugin_options& given) {
    plugins::RegistryOptions options = abi::builtin_plugins();
    if (given.folder_count > 0 && !given.folders) return Error{Code::invalid_argument, "options.folders is NULL"};
    for (std::size_t i = 0; i < given.folder_count; ++i)
        options.places.push_back(
            {abi::text_or_empty(given.folders[i].place), abi::text_or_empty(given.folders[i].path)});
    options.state_folder = abi::text_or_empty(given.state_folder);
    if (given.probe_seconds < 0 || given.probe_seconds > 3600)
        return Error{Code::invalid_argument, "options.probe_seconds must be 0 to 3600"};
    if (given.probe_seconds > 0) options.probe_seconds = given.probe_seconds;
    options.safe_mode = given.safe_mode != 0;
    options.probe_again = given.probe_again != 0;
    options.log = abi::log_to(given.log, given.user);
    auto found = std::make_unique<pumice_plugins>();
    PUMICE_ASSIGN(found->registry, plugins::Registry::create(std::move(options)));
    found->json = found->registry->json().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return found;
}

Result<std::string> verify_plugin(const std::string& library, const pumice_verify_options& given) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(library, none))
        return Error{Code::not_found, fmt::format("there is no file {}", library)};
    if (given.seconds < 0 || given.seconds > 3600)
        return Error{Code::invalid_argument, "options.seconds must be 0 to 3600"};
    if (given.file_count > 0 && !given.files) return Error{Code::invalid_argument, "options.files is NULL"};
    plugins::VerifyOptions options;
    if (given.seconds > 0) options.seconds = given.seconds;
    options.device = abi::text_or_empty(given.device);
    for (std::size_t i = 0; i < given.file_count; ++i) options.files.push_back(abi::text_or_empty(given.files[i]));
    const auto tell = [&](const plugins::Checked& check) {
        if (!given.on_check) return;
        if (!check.not_run.empty())
            given.on_check(given.user, check.name.c_str(), PUMICE_CHECK_NOT_RUN, check.not_run.c_str());
        else
            given.on_check(given.user, check.name.c_str(),
                           check.why.empty() ? PUMICE_CHECK_PASSED : PUMICE_CHECK_FAILED, check.why.c_str());
    };
    PUMICE_ASSIGN(
        const plugins::Verification found,
        plugins::verify(plugins::installed_parts().verify, std::filesystem::absolute(library), options, tell));
    nlohmann::ordered_json json = {{"plugins", nlohmann::json::array()}, {"checks", nlohmann::json::array()}};
    for (const plugins::Description& each : found.plugins) json["plugins"].push_back(plugins::to_json(each));
    for (const plugins::Checked& each : found.checks)
        json["checks"].push_back({{"check", each.name}, {"why", each.why}, {"not_run", each.not_run}});
    json["failed"] = found.failed();
    json["not_run"] = found.not_run();
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const char* name_at(const std::vector<std::string>& names, std::size_t index) {
    return index < names.size() ? names[index].c_str() : nullptr;
}

}  // namespace
}  // namespace pumice

extern "C" {

pumice_status pumice_plugins_create(const pumice_plugin_options* options, pumice_plugins** plugins,
                                    pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!plugins) return pumice::Error{pumice::Code::invalid_argument, "plugins is NULL"};
        *plugins = nullptr;
        pumice_plugin_options values = PUMICE_PLUGIN_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(auto found, pumice::find_plugins(values));
        *plugins = found.release();
        return {};
    });
}

void pumice_plugins_destroy(pumice_plugins* plugins) {
    delete plugins;
}

const char* pumice_plugins_json(const pumice_plugins* plugins) {
    return plugins ? plugins->json.c_str() : "{}";
}

const char* pumice_plugins_sampler(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->sampler_names(), index) : nullptr;
}

const char* pumice_plugins_schedule(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->schedule_names(), index) : nullptr;
}

const char* pumice_plugins_guidance(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->guidance_names(), index) : nullptr;
}

const char* pumice_plugins_control(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->control_names(), index) : nullptr;
}

const char* pumice_plugins_upscaler(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->upscaler_names(), index) : nullptr;
}

const char* pumice_plugins_preprocessor(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->preprocessor_names(), index) : nullptr;
}

const char* pumice_plugins_image_filter(const pumice_plugins* plugins, size_t index) {
    return plugins ? pumice::name_at(plugins->registry->image_filter_names(), index) : nullptr;
}

pumice_status pumice_plugins_set_enabled(pumice_plugins* plugins, const char* id, int32_t enabled,
                                         pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!plugins) return pumice::Error{pumice::Code::invalid_argument, "plugins is NULL"};
        if (!id || !*id) return pumice::Error{pumice::Code::invalid_argument, "id is empty"};
        return plugins->registry->set_enabled(id, enabled != 0);
    });
}

pumice_status pumice_plugin_verify(const char* library, const pumice_verify_options* options, char** report,
                                   pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!library || !*library || !report)
            return pumice::Error{pumice::Code::invalid_argument, "library or report is NULL or empty"};
        *report = nullptr;
        pumice_verify_options values = PUMICE_VERIFY_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(const std::string text, pumice::verify_plugin(library, values));
        *report = pumice::abi::text_to_caller(text);
        return {};
    });
}

}  // extern "C"
