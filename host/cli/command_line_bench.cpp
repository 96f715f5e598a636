#include "cli/command_line_bench.hpp"

#include <charconv>

#include <fmt/format.h>

namespace pumice::cli {

BenchCommands::BenchCommands(CLI::App& program, CommandLine& to)
    : line(to),
      bench(program.add_subcommand("bench")),
      model(add(*bench.app, "-m,--model")),
      control(add(*bench.app, "--control-model")),
      only(add(*bench.app, "--only")),
      repeats(add(*bench.app, "--repeats")),
      device(add(*bench.app, "--device")),
      precision(add(*bench.app, "--precision")),
      json(add(*bench.app, "--json")),
      html(add(*bench.app, "--html")),
      config(add(*bench.app, "--config")),
      compare(bench.app->add_subcommand("compare")),
      compare_html(add(*compare.app, "--html")) {
    bench.app->add_flag("--quick", line.bench.quick);
    bench.app->add_flag("-q,--quiet", line.quiet);
    bench.app->add_flag("--safe-mode", line.safe_mode);
}

std::vector<std::pair<const Parser*, const char*>> BenchCommands::parsers() const {
    return {{&compare, "bench"}, {&bench, "bench"}};
}

std::optional<std::pair<const Parser*, std::string>> BenchCommands::unexpected() const {
    for (const std::string& word : compare.app->remaining())
        if (word.size() > 1 && word[0] == '-') return std::pair{&compare, word};
    if (const auto rest = bench.app->remaining(); !rest.empty()) return std::pair{&bench, rest.front()};
    return std::nullopt;
}

Expected<bool> BenchCommands::read() {
    if (!bench.app->parsed()) return false;
    if (compare.app->parsed()) {
        line.command = CommandLine::Command::bench_compare;
        line.files = compare.app->remaining();
        line.bench.html = compare_html.text();
        if (line.files.size() < 2)
            return Failure{PUMICE_INVALID_ARGUMENT, "bench compare needs two reports or more: files of bench --json"};
        return true;
    }
    line.command = CommandLine::Command::bench;
    line.config = config.text();
    line.bench.model = model.text();
    line.bench.control = control.text();
    line.bench.only = only.text().value_or("");
    line.bench.json = json.text();
    line.bench.html = html.text();
    for (const auto& [name, given] : {std::pair{"--device", &device}, {"--precision", &precision}})
        if (const auto text = given->text())
            HOST_TRY(host::set_from_text(line.settings, *host::find_flag(name), *text, name));
    if (const auto text = repeats.text()) {
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), line.bench.repeats);
        if (error != std::errc() || end != text->data() + text->size() || line.bench.repeats < 2 ||
            line.bench.repeats > 100)
            return Failure{PUMICE_INVALID_ARGUMENT,
                           fmt::format("--repeats: {} is not a whole number from 2 to 100", host::shown(*text))};
    }
    if (line.bench.quick && line.bench.model)
        return Failure{PUMICE_INVALID_ARGUMENT, "--quick measures with the starter model; leave -m away"};
    if (line.bench.control && !line.bench.model)
        return Failure{PUMICE_INVALID_ARGUMENT, "--control-model is for a checkpoint of yours: -m FILE"};
    return true;
}

}  // namespace pumice::cli
