#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/starter.hpp"
#include "cli/table.hpp"
#include "cli/workbench.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string choice_text(const Json& stage) {
    std::string text = stage["choice"] == "streamed"
                           ? fmt::format("{} come and go in {} parts", size_text(stage["streamed"].get<std::uint64_t>()),
                                         stage["parts"].get<std::uint64_t>())
                           : "weights stay while it runs";
    if (stage.contains("tiles"))
        text += fmt::format("; {} tiles of {}x{}", stage["tiles"].get<std::uint64_t>(),
                            stage["tile_width"].get<std::uint64_t>(), stage["tile_height"].get<std::uint64_t>());
    return text;
}

void print(const Json& plan) {
    const auto size = [](const Json& value) { return size_text(value.get<std::uint64_t>()); };
    std::vector<std::vector<std::string>> rows = {{"stage", ">weights", ">activations", ">peak", "choice"}};
    for (const Json& stage : plan["stages"])
        rows.push_back({stage["name"].get<std::string>(), size(stage["weights"]), size(stage["activations"]),
                        size(stage["peak"]), choice_text(stage)});
    fmt::print("{}peak {} of {}; {}\n", table_text(std::move(rows)), size(plan["peak"]), size(plan["budget"]),
               plan["stays"].get<bool>() ? "everything stays on the device for the next picture"
                                         : "stages take turns on the device");
}

}  // namespace

Expected<void> run_plan(const Context& context) {
    const host::Settings& settings = context.settings;
    HOST_ASSIGN(const std::filesystem::path file, find_model(settings.model.value_or(""), settings));
    Workbench bench;
    HOST_TRY(bench.open(context, [] {}));
    HOST_ASSIGN(const Model* const model, bench.model(file, settings));
    Request request = model->defaults();
    const auto set = [](std::uint32_t& to, const std::optional<std::uint64_t>& value) {
        if (value) to = static_cast<std::uint32_t>(*value);
    };
    set(request.width, settings.width);
    set(request.height, settings.height);
    set(request.batch, settings.batch);
    if (settings.cfg) request.guidance_scale = static_cast<float>(*settings.cfg);
    HOST_ASSIGN(const std::string text, model->plan(request));
    const Json plan = Json::parse(text);
    if (context.line.json) fmt::print("{}\n", plan.dump(2));
    else print(plan);
    return {};
}

}  // namespace pumice::cli
