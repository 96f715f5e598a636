// Grids: --x, --y, --z and --prompt-matrix.
#include "image/grid.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "cli/axis.hpp"
#include "cli/output_names.hpp"
#include "cli/workbench.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

constexpr std::size_t kMostCells = 400;

/// A cell's command, and what the labels say.
struct Plan {
    std::vector<std::string> columns, rows, pages;
    std::vector<Context> cells;
    std::string script;  ///< the web UI's words for what was asked
};

std::vector<std::string> labels_of(const std::optional<Axis>& axis) {
    std::vector<std::string> labels;
    if (axis)
        for (const std::string& value : axis->values)
            labels.push_back(axis->name == "prompt" ? value : fmt::format("{}: {}", axis->name, value));
    return labels;
}

std::string script_of(const std::optional<Axis> (&axes)[3]) {
    std::string text = "Script: X/Y/Z plot";
    for (std::size_t i = 0; i < 3; ++i) {
        if (!axes[i]) continue;
        text += fmt::format(", {} Type: {}, {} Values: \"", "XYZ"[i], axes[i]->name, "XYZ"[i]);
        for (std::size_t v = 0; v < axes[i]->values.size(); ++v) text += (v ? "," : "") + axes[i]->values[v];
        text += '"';
    }
    return text;
}

Expected<Plan> plan_axes(const Context& context) {
    std::optional<Axis> axes[3];
    const std::pair<const std::optional<std::string>*, const char*> given[] = {
        {&context.line.x, "--x"}, {&context.line.y, "--y"}, {&context.line.z, "--z"}};
    for (std::size_t i = 0; i < 3; ++i)
        if (*given[i].first) {
            HOST_ASSIGN(axes[i], parse_axis(**given[i].first, given[i].second));
        }
    Plan plan{labels_of(axes[0]), labels_of(axes[1]), labels_of(axes[2]), {}, script_of(axes)};
    std::size_t sizes[3];
    for (std::size_t i = 0; i < 3; ++i) sizes[i] = axes[i] ? axes[i]->values.size() : 1;
    if (sizes[0] * sizes[1] * sizes[2] > kMostCells)
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("a grid of {} pictures: at most {}", sizes[0] * sizes[1] * sizes[2], kMostCells)};
    for (std::size_t z = 0; z < sizes[2]; ++z)
        for (std::size_t y = 0; y < sizes[1]; ++y)
            for (std::size_t x = 0; x < sizes[0]; ++x) {
                Context cell = context;
                const std::size_t at[] = {x, y, z};
                for (std::size_t i = 0; i < 3; ++i)
                    if (axes[i]) HOST_TRY(set_on(cell, *axes[i], at[i]));
                plan.cells.push_back(std::move(cell));
            }
    return plan;
}

/// Half of the choices across, the rest down.
Expected<Plan> plan_matrix(const Context& context) {
    const std::string& prompt = *context.line.prompt;
    if (context.line.x || context.line.y || context.line.z)
        return Failure{PUMICE_INVALID_ARGUMENT, "--prompt-matrix makes a grid of its own: without --x, --y and --z"};
    const auto parts = std::count(prompt.begin(), prompt.end(), '|') + 1;
    if (parts < 2 || parts > 9)
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--prompt-matrix: the prompt has {} parts between |: use 2 to 9", parts)};
    Plan plan;
    const std::vector<std::string> choices = prompt_choices(prompt);
    const std::size_t columns = std::size_t(1) << (parts / 2);
    for (std::size_t i = 0; i < choices.size(); ++i) {
        Context cell = context;
        cell.line.prompt = choices[i];
        plan.cells.push_back(std::move(cell));
    }
    // A label says what its column or row adds.
    const std::string first = choices[0];
    const auto added = [&](const std::string& choice) {
        return choice.size() > first.size() ? "+ " + choice.substr(first.size() + 2) : first;
    };
    for (std::size_t i = 0; i < columns; ++i) plan.columns.push_back(added(choices[i]));
    for (std::size_t i = 0; i < choices.size(); i += columns) plan.rows.push_back(added(choices[i]));
    plan.script = "Script: Prompt matrix";
    return plan;
}

}  // namespace

namespace {

/// Cells without a picture are white, of the first one's size.
Expected<void> fill_empty(host::Grid& grid) {
    const auto first = std::find_if(grid.cells.begin(), grid.cells.end(), [](const auto& c) { return c.width > 0; });
    if (first == grid.cells.end()) return Failure{PUMICE_CANCELLED, "cancelled"};
    const std::uint32_t width = first->width, height = first->height;
    for (host::DecodedImage& cell : grid.cells)
        if (cell.width == 0) cell = {width, height, 3, std::vector<std::uint8_t>(std::size_t(width) * height * 3, 255)};
    return {};
}

}  // namespace

bool is_grid(const CommandLine& line) {
    return line.x || line.y || line.z || line.prompt_matrix;
}

Expected<void> run_grid(const Context& given) {
    if (given.settings.count.value_or(1) != 1)
        return Failure{PUMICE_INVALID_ARGUMENT, "a grid has one picture a cell: leave --count out"};
    if (given.settings.batch.value_or(1) != 1)
        return Failure{PUMICE_INVALID_ARGUMENT, "a grid has one picture a cell: leave --batch out"};
    Context context = given;
    if (!context.settings.seed) context.settings.seed = std::random_device()();  // one for all
    if (!context.settings.variation_seed) context.settings.variation_seed = std::random_device()();
    HOST_ASSIGN(const Plan plan, context.line.prompt_matrix ? plan_matrix(context) : plan_axes(context));
    OutputNames names(context.line.output, context.settings.output_folder);
    HOST_TRY(names.check());
    Workbench bench;
    host::Grid grid{plan.columns, plan.rows, plan.pages, {}};
    std::string infotext;
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        if (bench.interrupt.finishing() && i > 0) {  // what is not begun stays empty
            grid.cells.emplace_back();
            continue;
        }
        if (!context.line.quiet) fmt::print(stderr, "picture {} of {}\n", i + 1, plan.cells.size());
        auto made = make_picture(plan.cells[i], bench);
        const bool skipped = !made && made.failure().status == PUMICE_CANCELLED && bench.interrupt.take_skip();
        if (!made && !skipped) return made.failure();
        if (skipped) {
            grid.cells.emplace_back();
            continue;
        }
        if (infotext.empty()) infotext = made->infotext + ", " + plan.script;
        grid.cells.push_back({made->width, made->height, 3, std::move(made->rgb)});
    }
    HOST_TRY(fill_empty(grid));
    HOST_ASSIGN(const host::DecodedImage image, host::draw_grid(grid));
    const auto held = bench.interrupt.hold();
    HOST_ASSIGN(const auto png, host::encode_png({image.width, image.height, image.pixels, infotext}));
    HOST_ASSIGN(const auto file, names.write(0, png));
    fmt::print("{}\n", file.string());
    return bench.opened().check_validation();
}

}  // namespace pumice::cli
