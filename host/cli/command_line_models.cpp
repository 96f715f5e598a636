#include "cli/command_line_models.hpp"

#include <fmt/format.h>

namespace pumice::cli {

using Command = CommandLine::Command;

WriteCommand::WriteCommand(CLI::App& parent, const char* name, CommandLine& to)
    : Parser(parent.add_subcommand(name)),
      line(to),
      output(add(*app, "-o,--output")),
      type(add(*app, "--type")),
      format(add(*app, "--format")),
      vae(add(*app, "--vae")),
      text_encoder(add(*app, "--text-encoder")),
      config(add(*app, "--config")) {
    app->add_flag("--prune", line.write.prune);
    app->add_flag("--ema", line.write.ema);
    app->add_flag("--force", line.write.overwrite);
    app->add_flag("--json", line.json);
    app->add_flag("-q,--quiet", line.quiet);
}

Expected<void> WriteCommand::read_shared(Command command) {
    line.command = command;
    line.config = config.text();
    line.output = output.text();
    line.write.type = type.text().value_or("");
    line.write.format = format.text().value_or("");
    line.write.vae = vae.text().value_or("");
    line.write.text_encoder = text_encoder.text().value_or("");
    if (line.output && !line.output->empty()) return {};
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("{} needs the name of what it writes: -o model.safetensors", app->get_name())};
}

Convert::Convert(CLI::App& parent, CommandLine& to) : WriteCommand(parent, "convert", to), input(add(*app, "model")) {}

Expected<void> Convert::read() {
    if (!input.text()) return Failure{PUMICE_INVALID_ARGUMENT, "convert needs a model: a file or a folder"};
    line.file = *input.text();
    return read_shared(Command::convert);
}

ModelCommands::ModelCommands(CLI::App& program, CLI::App&, CommandLine& line) : convert(program, line) {}

std::vector<std::pair<const Parser*, const char*>> ModelCommands::parsers() const {
    return {{&convert, "convert"}};
}

Expected<bool> ModelCommands::read() {
    if (!convert.app->parsed()) return false;
    HOST_TRY(convert.read());
    return true;
}

}  // namespace pumice::cli
