#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/table.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string yes_or_no(const Json& value) {
    return value.get<bool>() ? "yes" : "no";
}

std::string subgroup_text(const Json& subgroups) {
    const auto least = subgroups["min_size"].get<std::uint32_t>(), most = subgroups["max_size"].get<std::uint32_t>();
    if (least == most || most == 0) return subgroups["size"].dump();
    return fmt::format("{}-{}", least, most);
}

std::vector<std::string> row(std::size_t index, const pumice_device_info& info, const Json& record) {
    const Json& types = record["types"];
    return {fmt::to_string(index),
            info.name,
            info.type,
            info.driver,
            size_text(info.memory),
            yes_or_no(types["storage_16bit"]),
            yes_or_no(types["float16"]),
            yes_or_no(types["integer_dot_product"]),
            record["cooperative_matrices"].empty() ? "no" : "yes",
            subgroup_text(record["subgroups"]),
            record["api_version"].get<std::string>()};
}

}  // namespace

Expected<void> run_devices(const Context& context) {
    HOST_ASSIGN(const Devices devices, Devices::list());
    Json records = Json::array();
    std::vector<std::vector<std::string>> rows = {
        {">#", "name", "type", "driver", ">memory", "16-bit", "fp16", "int dot", "matrix", ">subgroup", "Vulkan"}};
    std::string unusable;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const pumice_device_info info = devices[i];
        records.push_back(Json::parse(info.record));
        rows.push_back(row(i, info, records.back()));
        if (*info.missing) unusable += fmt::format("{} cannot be used: it lacks {}\n", i, info.missing);
    }
    if (context.line.json)
        fmt::print("{}\n", records.dump(2));
    else if (devices.size() == 0)
        fmt::print("no devices\n");
    else
        fmt::print("{}{}", table_text(std::move(rows)), unusable);
    return {};
}

}  // namespace pumice::cli
