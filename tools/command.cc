// Messages, JSON strings and durations, in the one form that all commands use.
#include "command.hpp"

#include <cstdio>

#include "base/text.hpp"

namespace benchfs::tools {

void print_error(const std::string& what, const std::string& cause) {
  print_note(fmt::format("{}: {}", what, cause));
}

void print_note(const std::string& text) {
  // What was printed so far stands above it, also when both go to one file.
  std::fflush(stdout);
  std::fprintf(stderr, "benchfs: %s\n", text.c_str());
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, std::int64_t& ms,
                          const std::string& help) {
  const auto set = [&ms](const std::string& text) {
    const auto ns = parse_duration_ns(text);
    if (!ns) throw CLI::ValidationError(fmt::format("\"{}\": {}", text, ns.error()));
    if (*ns < 1'000'000 || *ns > 86'400'000'000'000)
      throw CLI::ValidationError(fmt::format("\"{}\" is not from 1ms to 24h", text));
    ms = static_cast<std::int64_t>(*ns / 1'000'000);
  };
  return app.add_option_function<std::string>(name, set, help)
      ->type_name("DURATION")
      ->default_str(ms == 0 ? "" : exact_duration(static_cast<std::uint64_t>(ms) * 1'000'000));
}

void name_values(CLI::App& app) {
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"--data-dir", "DIR"},   {"--registry", "DIR"}, {"--config", "FILE"},
      {"--listen", "ADDRESS"}, {"--shell", "SHELL"},  {"--benchfsd", "PROGRAM"},
  };
  for (const auto& [option, value] : kNames)
    if (CLI::Option* found = app.get_option_no_throw(option)) found->type_name(value);
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace benchfs::tools
