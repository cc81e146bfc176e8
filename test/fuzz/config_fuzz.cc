// The configuration reader: any text as file, flags and environment gives settings or an error
// text; what is accepted is within its rules, and printing and reading it again changes nothing.
#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/client_config.hpp"
#include "base/server_config.hpp"
#include "fuzz.hpp"

namespace benchfs {
namespace {

template <class Config>
void check_accepted(config::Options options, config::Options others, const Config& config) {
  for (const config::Option& option : options) {
    const config::Value value = option.load(&config);
    if (const auto* n = std::get_if<std::uint64_t>(&value);
        n != nullptr && option.rule.choices.empty() && (*n != 0 || option.rule.zero.empty()))
      BFS_ASSERT(*n >= option.rule.min && *n <= option.rule.max);
  }
  const std::string text = config::dump(options, &config);
  Config back;
  BFS_ASSERT(config::read_text(options, others, text, "dump", &back).has_value());
  BFS_ASSERT(config::dump(options, &back) == text);
}

template <class Config>
void try_file(config::Options options, config::Options others, const std::string& text) {
  Config config;
  const auto read = config::read_text(options, others, text, "file", &config);
  if (read) {
    check_accepted(options, others, config);
  } else {
    BFS_ASSERT(!read.error().empty());
  }
}

/// Each line is a flag or a variable; files are left out.
void try_words(const std::string& text) {
  std::vector<std::string> args, environment;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const bool is_variable = line.find('=') != std::string::npos && !line.starts_with("--");
    if (line.find("onfig") == std::string::npos && line.find("ONFIG") == std::string::npos)
      (is_variable ? environment : args).push_back(line);
    at = end + 1;
  }
  std::vector<const char*> args_c, environment_c;
  for (const auto& arg : args) args_c.push_back(arg.c_str());
  for (const auto& variable : environment) environment_c.push_back(variable.c_str());
  const auto loaded = load_server_config({args_c, environment_c});
  if (loaded && loaded->outcome.action == config::Action::run)
    check_accepted(server_options(), client_options(), loaded->config);
  if (!loaded) BFS_ASSERT(!loaded.error().empty());
}

}  // namespace
}  // namespace benchfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace benchfs;
  const std::string text(data, data + size);
  try_file<ServerConfig>(server_options(), client_options(), text);
  try_file<ClientConfig>(client_options(), server_options(), text);
  try_words(text);
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  using namespace benchfs;
  const ServerConfig server;
  const ClientConfig client;
  std::vector<std::string> seeds{
      config::dump(server_options(), &server),
      config::dump(client_options(), &client),
      "data_dir: /d\nservers:\n  - a:1\n  - \"[::1]:2\"\nspin: 10 us\n",
      "? data_dir\n: &x \"/d\\n\"\nregistry: *x\n<<: {spin: 1s}\n",
      "{data_dir: '/d', servers: [a:1, b:2], chunk_size: !!str 64KiB}\n",
      "data_dir: |\n  /d\n  /e\nspin: >-\n  1\n  us\n",
      "%YAML 1.2\n---\ndata_dir: /d\n...\n---\nspin: 1us\n",
      "&a [*a, &b {*b : *a}]\n",
  };
  std::string flags = "--data-dir\n/d\n";
  std::string variables = "BENCHFS_DATA_DIR=/d\nBENCHFS_UCX_TLS=x\nBENCHFS_SPINN=1\n";
  for (const config::Option& option : server_options()) {
    const std::string value = config::value_text(option, option.load(&server));
    if (option.key != "data_dir") flags += fmt::format("{}={}\n", config::flag_name(option), value);
    variables += fmt::format("{}={}\n", config::variable_name(option), value);
  }
  seeds.push_back(flags);
  seeds.push_back(variables);
  return seeds;
}

unsigned long fuzz_runs() {
  return 10'000;
}
