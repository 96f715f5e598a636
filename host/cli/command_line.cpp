#include "cli/command_line.hpp"

#include <charconv>
#include <cmath>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command_line_bench.hpp"
#include "cli/command_line_models.hpp"
#include "cli/parser.hpp"
#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Command = CommandLine::Command;

/// The parameters of plugins that a command was given.
Expected<void> read_params(const Given& params, host::Settings& settings) {
    for (const std::string& text : params.option->results()) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0)
            return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("--plugin-param: {} is not KIND.NAME=VALUE, as "
                                                                "sampler.eta=0.5",
                                                                host::shown(text))};
        settings.given_plugin_params[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return {};
}

}  // namespace

Expected<Outpaint> read_outpaint(const std::string& text) {
    Outpaint outpaint;
    const std::pair<std::string_view, std::uint32_t*> sides[] = {
        {"left", &outpaint.left}, {"top", &outpaint.top}, {"right", &outpaint.right}, {"bottom", &outpaint.bottom}};
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        const std::size_t equals = part.find('=');
        const auto side = std::find_if(std::begin(sides), std::end(sides),
                                       [&](const auto& s) { return s.first == part.substr(0, equals); });
        const std::string_view number = equals == std::string_view::npos ? "" : part.substr(equals + 1);
        std::uint32_t pixels = 0;
        const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), pixels);
        if (side == std::end(sides) || error != std::errc() || end != number.data() + number.size() || pixels > 8192)
            return Failure{PUMICE_INVALID_ARGUMENT,
                           fmt::format("--outpaint: {} is not SIDE=PIXELS, with left, top, right or bottom and 0 to 8192",
                                       host::shown(std::string(part)))};
        *side->second = pixels;
    }
    return outpaint;
}

namespace {

/// A number that an option was given.
template <class Number>
Expected<void> read_number(const Given& given, const char* name, double least, double most, Number& out) {
    const auto text = given.text();
    if (!text) return {};
    double value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = std::is_integral_v<Number>;
    if (error != std::errc() || end != text->data() + text->size() || !(value >= least && value <= most) ||
        (whole && value != std::floor(value)))
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("{}: {} is not a {} from {} to {}", name, host::shown(*text),
                                   whole ? "whole number" : "number", least, most)};
    out = static_cast<Number>(value);
    return {};
}

struct Generate : Parser {
    CommandLine& line;
    std::vector<std::pair<const char*, Given>> settings;
    Given prompt, from, output, config, params, filters, controls, loras, styles, init_image, mask, outpaint, x, y, z;
    Given preview, preview_every, preview_method, preview_model, profile;
    explicit Generate(CLI::App& program, CommandLine& to)
        : Parser(program.add_subcommand("generate")),
          line(to),
          prompt(add(*app, "-p,--prompt")),
          from(add(*app, "--from")),
          output(add(*app, "-o,--output")),
          config(add(*app, "--config")),
          params(add_all(*app, "--plugin-param")),
          filters(add_all(*app, "--filter")),
          controls(add_all(*app, "--control")),
          loras(add_all(*app, "--lora")),
          styles(add_all(*app, "--style")),
          init_image(add(*app, "--init-image")),
          mask(add(*app, "--mask")),
          outpaint(add(*app, "--outpaint")),
          x(add(*app, "--x")),
          y(add(*app, "--y")),
          z(add(*app, "--z")),
          preview(add(*app, "--preview")),
          preview_every(add(*app, "--preview-every")),
          preview_method(add(*app, "--preview-method")),
          preview_model(add(*app, "--preview-model")),
          profile(add(*app, "--profile")) {
        for (const auto& [name, names] : {std::pair{"--model", "-m,--model"},
                                          {"--vae", "--vae"},
                                          {"--text-encoder", "--text-encoder"},
                                          {"--negative", "-n,--negative"},
                                          {"--width", "-W,--width"},
                                          {"--height", "-H,--height"},
                                          {"--steps", "--steps"},
                                          {"--cfg", "--cfg"},
                                          {"--sampler", "--sampler"},
                                          {"--schedule", "--schedule"},
                                          {"--guidance", "--guidance"},
                                          {"--seed", "--seed"},
                                          {"--rng", "--rng"},
                                          {"--batch", "-b,--batch"},
                                          {"--clip-skip", "--clip-skip"},
                                          {"--lora-folder", "--lora-folder"},
                                          {"--variation-seed", "--variation-seed"},
                                          {"--variation-strength", "--variation-strength"},
                                          {"--seed-width", "--seed-width"},
                                          {"--seed-height", "--seed-height"},
                                          {"--ensd", "--ensd"},
                                          {"--seamless", "--seamless"},
                                          {"--tile", "--tile"},
                                          {"--tile-overlap", "--tile-overlap"},
                                          {"--stop-at", "--stop-at"},
                                          {"--count", "--count"},
                                          {"--embedding-folder", "--embedding-folder"},
                                          {"--styles-file", "--styles-file"},
                                          {"--wildcards", "--wildcards"},
                                          {"--emphasis", "--emphasis"},
                                          {"--prediction", "--prediction"},
                                          {"--strength", "--strength"},
                                          {"--resize-mode", "--resize-mode"},
                                          {"--mask-blur", "--mask-blur"},
                                          {"--mask-fill", "--mask-fill"},
                                          {"--mask-padding", "--mask-padding"},
                                          {"--image-cfg", "--image-cfg"},
                                          {"--hires", "--hires"},
                                          {"--hires-steps", "--hires-steps"},
                                          {"--hires-strength", "--hires-strength"},
                                          {"--hires-sampler", "--hires-sampler"},
                                          {"--hires-upscaler", "--hires-upscaler"},
                                          {"--hires-model", "--hires-model"},
                                          {"--refiner", "--refiner"},
                                          {"--refiner-switch", "--refiner-switch"},
                                          {"--original-width", "--original-width"},
                                          {"--original-height", "--original-height"},
                                          {"--crop-left", "--crop-left"},
                                          {"--crop-top", "--crop-top"},
                                          {"--target-width", "--target-width"},
                                          {"--target-height", "--target-height"},
                                          {"--aesthetic-score", "--aesthetic-score"},
                                          {"--negative-aesthetic-score", "--negative-aesthetic-score"},
                                          {"--device", "--device"},
                                          {"--memory", "--memory"},
                                          {"--precision", "--precision"}})
            settings.emplace_back(name, add(*app, names));
        app->add_flag("--only-masked", line.only_masked);
        app->add_flag("--prompt-matrix", line.prompt_matrix);
        app->add_flag("--profile-summary", line.profile_summary);
        app->add_flag("--profile-peaks", line.profile_peaks);
        app->add_flag("--json", line.json);
        app->add_flag("-q,--quiet", line.quiet);
        app->add_flag("--safe-mode", line.safe_mode);
    }

    Expected<void> read() {
        line.command = Command::generate;
        line.prompt = prompt.text();
        line.from = from.text();
        line.output = output.text();
        line.config = config.text();
        line.init_image = init_image.text();
        line.mask = mask.text();
        line.x = x.text();
        line.y = y.text();
        line.z = z.text();
        line.profile = profile.text();
        if (const auto text = outpaint.text()) {
            HOST_ASSIGN(line.outpaint, read_outpaint(*text));
            if (!line.init_image)
                return Failure{PUMICE_INVALID_ARGUMENT, "--outpaint needs the picture to go on from: --init-image FILE"};
            if (line.only_masked)
                return Failure{PUMICE_INVALID_ARGUMENT, "--outpaint paints beyond the picture, --only-masked within it"};
        }
        for (const auto& [name, given] : settings)
            if (const auto text = given.text())
                HOST_TRY(host::set_from_text(line.settings, *host::find_flag(name), *text, name));
        HOST_TRY(read_params(params, line.settings));
        line.filters = filters.option->results();
        line.loras = loras.option->results();
        line.styles = styles.option->results();
        for (const std::string& text : controls.option->results()) {
            HOST_ASSIGN(ControlOption control, parse_control(text));
            line.controls.push_back(std::move(control));
        }
        if (line.mask && !line.init_image)
            return Failure{PUMICE_INVALID_ARGUMENT, "--mask needs the picture that it lies on: --init-image FILE"};
        if (line.only_masked && !line.mask)
            return Failure{PUMICE_INVALID_ARGUMENT, "--only-masked needs a mask: --mask FILE"};
        HOST_TRY(read_preview());
        if (!line.prompt && !line.from)
            return Failure{PUMICE_INVALID_ARGUMENT, "generate needs a prompt: -p \"what the picture shows\""};
        return {};
    }

    Expected<void> read_preview() {
        line.preview = preview.text();
        line.preview_model = preview_model.text().value_or("");
        line.preview_method = preview_method.text().value_or(line.preview_model.empty() ? "latent-rgb" : "taesd");
        HOST_TRY(read_number(preview_every, "--preview-every", 1, 1000, line.preview_every));
        if (line.preview_method != "latent-rgb" && line.preview_method != "taesd")
            return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("--preview-method: {} is not one of latent-rgb, taesd",
                                                                host::shown(line.preview_method))};
        for (const auto& [given, name] : {std::pair{&preview_every, "--preview-every"},
                                          {&preview_method, "--preview-method"},
                                          {&preview_model, "--preview-model"}})
            if (given->text() && !line.preview)
                return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{} needs the file to show it in: --preview FILE", name)};
        return {};
    }
};

/// What upscale and preprocess share.
struct PictureCommand : Parser {
    CommandLine& line;
    Given output, config, params, device, precision;
    PictureCommand(CLI::App& program, const char* name, CommandLine& to)
        : Parser(program.add_subcommand(name)),
          line(to),
          output(add(*app, "-o,--output")),
          config(add(*app, "--config")),
          params(add_all(*app, "--plugin-param")),
          device(add(*app, "--device")),
          precision(add(*app, "--precision")) {
        app->add_flag("--json", line.json);
        app->add_flag("-q,--quiet", line.quiet);
        app->add_flag("--safe-mode", line.safe_mode);
    }
    Expected<void> read_shared(Command command) {
        line.command = command;
        line.output = output.text();
        line.config = config.text();
        for (const auto& [name, given] : {std::pair{"--device", &device}, {"--precision", &precision}})
            if (const auto text = given->text())
                HOST_TRY(host::set_from_text(line.settings, *host::find_flag(name), *text, name));
        return read_params(params, line.settings);
    }
};

struct Upscale : PictureCommand {
    Given upscaler, model, scale, picture;
    Upscale(CLI::App& program, CommandLine& to)
        : PictureCommand(program, "upscale", to),
          upscaler(add(*app, "--upscaler")),
          model(add(*app, "-m,--model")),
          scale(add(*app, "--scale")),
          picture(add(*app, "picture")) {}
    Expected<void> read() {
        HOST_TRY(read_shared(Command::upscale));
        line.method = upscaler.text().value_or("");
        line.upscaler_model = model.text().value_or("");
        HOST_TRY(read_number(scale, "--scale", 0.0625, 64, line.scale));
        if (!picture.text()) return Failure{PUMICE_INVALID_ARGUMENT, "upscale needs a picture: a PNG file"};
        line.picture = *picture.text();
        if (line.method.empty() && line.upscaler_model.empty())
            return Failure{PUMICE_INVALID_ARGUMENT,
                           "upscale needs --model FILE, or --upscaler NAME: lanczos, bicubic, …"};
        return {};
    }
};

struct Preprocess : PictureCommand {
    Given width, height, seed, method, picture;
    Preprocess(CLI::App& program, CommandLine& to)
        : PictureCommand(program, "preprocess", to),
          width(add(*app, "-W,--width")),
          height(add(*app, "-H,--height")),
          seed(add(*app, "--seed")),
          method(add(*app, "name")),
          picture(add(*app, "picture")) {}
    Expected<void> read() {
        HOST_TRY(read_shared(Command::preprocess));
        HOST_TRY(read_number(width, "--width", 1, 65536, line.width));
        HOST_TRY(read_number(height, "--height", 1, 65536, line.height));
        HOST_TRY(read_number(seed, "--seed", 0, 9007199254740992, line.seed));
        if (!method.text())
            return Failure{PUMICE_INVALID_ARGUMENT, "preprocess needs the name of a preprocessor: canny, pose, …"};
        line.method = *method.text();
        line.picture = picture.text().value_or("");
        if (line.picture.empty() && (line.width == 0 || line.height == 0))
            return Failure{PUMICE_INVALID_ARGUMENT, "preprocess needs a picture, a PNG file, or --width and --height"};
        return {};
    }
};

/// Of generate's options, those that memory depends on.
struct Plan : Parser {
    CommandLine& line;
    Given config;
    std::vector<std::pair<const char*, Given>> settings;
    Plan(CLI::App& program, CommandLine& to)
        : Parser(program.add_subcommand("plan")), line(to), config(add(*app, "--config")) {
        for (const auto& [name, names] : {std::pair{"--model", "-m,--model"}, {"--vae", "--vae"},
                                          {"--text-encoder", "--text-encoder"}, {"--width", "-W,--width"},
                                          {"--height", "-H,--height"}, {"--batch", "--batch,--batch-size"},
                                          {"--cfg", "--cfg"}, {"--memory", "--memory"}, {"--device", "--device"},
                                          {"--precision", "--precision"}})
            settings.emplace_back(name, add(*app, names));
        app->add_flag("--json", line.json);
    }
    Expected<void> read() {
        line.command = Command::plan;
        line.config = config.text();
        for (const auto& [name, given] : settings)
            if (const auto text = given.text())
                HOST_TRY(host::set_from_text(line.settings, *host::find_flag(name), *text, name));
        return {};
    }
};

Failure unexpected(const CLI::App& app, const std::string& word) {
    std::vector<std::string> names;
    const bool option = word.size() > 1 && word[0] == '-';
    if (option)
        for (const CLI::Option* each : app.get_options())
            for (const std::string& name : each->get_lnames()) names.push_back("--" + name);
    else
        for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(each->get_name());
    std::vector<std::string_view> words(names.begin(), names.end());
    const char* what = option ? "option" : words.empty() ? "argument" : "command";
    const std::string given = option ? word.substr(0, word.find('=')) : word;
    const std::string hint = host::did_you_mean(given, words);
    return {PUMICE_INVALID_ARGUMENT, fmt::format("{} takes no {} {}{}", app.get_name(), what, given.substr(0, 80),
                                                 hint.empty() ? "; see --help" : hint)};
}

/// CLI11's own errors: with the options declared here only a missing value can be the cause.
Failure missing_value(const CLI::ParseError& error) {
    const std::string text = error.what();
    const std::size_t colon = text.find(':');
    if (colon != std::string::npos && text.compare(0, 1, "-") == 0)
        return {PUMICE_INVALID_ARGUMENT, fmt::format("{} needs a value", text.substr(0, colon))};
    return {PUMICE_INVALID_ARGUMENT, text.substr(0, text.find('\n'))};
}

struct Program {
    CLI::App app{"", "pumice"};
    CommandLine line;
    bool version = false;
    Parser root{&app};
    Generate generate{app, line};
    Upscale upscale{app, line};
    Preprocess preprocess{app, line};
    Plan plan{app, line};
    Parser devices{app.add_subcommand("devices")};
    Parser models{app.add_subcommand("models")};
    Parser inspect{models.app->add_subcommand("inspect")};
    Given inspect_config = add(*inspect.app, "--config");
    Given inspect_file = add(*inspect.app, "file");
    ModelCommands model_commands{app, *models.app, line};
    BenchCommands bench_commands{app, line};
    Parser plugins{app.add_subcommand("plugins")};
    Parser plugins_list{plugins.app->add_subcommand("list")};
    Parser plugins_enable{plugins.app->add_subcommand("enable")};
    Parser plugins_disable{plugins.app->add_subcommand("disable")};
    Given enable_id = add(*plugins_enable.app, "id");
    Given disable_id = add(*plugins_disable.app, "id");
    Given list_config = add(*plugins_list.app, "--config");
    Parser plugins_verify{plugins.app->add_subcommand("verify")};
    Given verify_target = add(*plugins_verify.app, "target");
    Given verify_seconds = add(*plugins_verify.app, "--seconds");
    Given verify_device = add(*plugins_verify.app, "--device");
    Given verify_files = add_all(*plugins_verify.app, "--file");
    Given verify_config = add(*plugins_verify.app, "--config");

    Program() {
        app.add_flag("-V,--version", version);
        devices.app->add_flag("--json", line.json);
        inspect.app->add_flag("--json", line.json);
        plugins_list.app->add_flag("--json", line.json);
        plugins_list.app->add_flag("--safe-mode", line.safe_mode);
        plugins_list.app->add_flag("--probe", line.probe_again);
        plugins_list.app->add_flag("--params", line.params);
        plugins_verify.app->add_flag("--json", line.json);
    }

    Expected<CommandLine> read() {
        if (version) return of(Command::version);
        for (const auto& [parser, name] : model_commands.parsers())
            if (parser->help) return help_of(name);
        for (const auto& [parser, name] : model_commands.parsers())
            if (const auto rest = parser->app->remaining(); !rest.empty())
                return unexpected(*parser->app, rest.front());
        for (const auto& [parser, name] : bench_commands.parsers())
            if (parser->help) return help_of(name);
        if (const auto word = bench_commands.unexpected()) return unexpected(*word->first->app, word->second);
        const std::pair<const Parser*, const char*> inner_first[] = {
            {&inspect, "inspect"},       {&models, "models"},          {&devices, "devices"},
            {&generate, "generate"},     {&upscale, "upscale"},        {&preprocess, "preprocess"},
            {&plan, "plan"},
            {&plugins_list, "plugins"},  {&plugins_enable, "plugins"}, {&plugins_disable, "plugins"},
            {&plugins_verify, "verify"}, {&plugins, "plugins"},        {&root, ""}};
        for (const auto& [parser, name] : inner_first)
            if (parser->help) return help_of(name);
        for (const auto& [parser, name] : inner_first)
            if (const auto rest = parser->app->remaining(); !rest.empty())
                return unexpected(*parser->app, rest.front());
        if (generate.app->parsed()) {
            HOST_TRY(generate.read());
            return line;
        }
        if (upscale.app->parsed()) {
            HOST_TRY(upscale.read());
            return line;
        }
        if (preprocess.app->parsed()) {
            HOST_TRY(preprocess.read());
            return line;
        }
        if (plan.app->parsed()) {
            HOST_TRY(plan.read());
            return line;
        }
        if (devices.app->parsed()) return of(Command::devices);
        HOST_ASSIGN(const bool model_command, model_commands.read());
        if (model_command) return line;
        HOST_ASSIGN(const bool bench_command, bench_commands.read());
        if (bench_command) return line;
        if (inspect.app->parsed()) {
            if (!inspect_file.text()) return Failure{PUMICE_INVALID_ARGUMENT, "models inspect needs a file"};
            line.file = *inspect_file.text();
            line.config = inspect_config.text();
            return of(Command::inspect);
        }
        if (plugins.app->parsed()) return read_plugins();
        return help_of(models.app->parsed() ? "models" : "");
    }

    Expected<CommandLine> read_plugins() {
        line.config = list_config.text();
        if (plugins_list.app->parsed()) return of(Command::plugins_list);
        if (plugins_verify.app->parsed()) return read_verify();
        for (const auto& [parser, id, command] :
             {std::tuple{&plugins_enable, &enable_id, Command::plugins_enable},
              std::tuple{&plugins_disable, &disable_id, Command::plugins_disable}}) {
            if (!parser->app->parsed()) continue;
            if (!id->text())
                return Failure{PUMICE_INVALID_ARGUMENT,
                               fmt::format("plugins {} needs a plugin's id", parser->app->get_name())};
            line.plugin = *id->text();
            return of(command);
        }
        return help_of("plugins");
    }

    Expected<CommandLine> read_verify() {
        line.config = verify_config.text();
        if (!verify_target.text())
            return Failure{PUMICE_INVALID_ARGUMENT,
                           "plugins verify needs a library, a package, a folder, or a plugin's id"};
        line.plugin = *verify_target.text();
        line.device = verify_device.text().value_or("");
        line.files = verify_files.option->results();
        for (const std::string& file : line.files)
            if (const std::size_t cut = file.find('='); cut == 0 || cut == std::string::npos || cut + 1 == file.size())
                return Failure{PUMICE_INVALID_ARGUMENT,
                               fmt::format("--file: {} is not NAME=FILE, as esrgan=x4.safetensors", host::shown(file))};
        if (const auto text = verify_seconds.text()) {
            const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), line.seconds);
            if (error != std::errc() || end != text->data() + text->size() ||
                !(line.seconds > 0 && line.seconds <= 3600))
                return Failure{PUMICE_INVALID_ARGUMENT,
                               fmt::format("--seconds: {} is not a number above 0, up to 3600", host::shown(*text))};
        }
        return of(Command::plugins_verify);
    }

    CommandLine of(Command command) {
        line.command = command;
        return line;
    }
    CommandLine help_of(const char* name) {
        line.help_of = name;
        return of(Command::help);
    }
};

}  // namespace

Expected<CommandLine> parse_command_line(int argc, const char* const* argv) {
    // CLI11 reports by exception; this is the only place that sees one.
    try {
        Program program;
        program.app.parse(argc, argv);
        return program.read();
    } catch (const CLI::ParseError& error) {
        return missing_value(error);
    }
}

}  // namespace pumice::cli
