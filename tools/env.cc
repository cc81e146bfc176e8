// `benchfs env`: what a job script sets so that MPI programs find the servers and the driver, in
// the language of its shell; or the words that link a program with the driver instead.
#include <fmt/format.h>
#include <stdlib.h>

#include <map>

#include "command.hpp"
#include "paths.hpp"

namespace benchfs::tools {
namespace {

struct EnvOptions {
  std::string registry, servers;
  std::string shell = "sh";
  bool json = false;
  bool link = false;
};

// `value` so that every shell takes it as it is.
std::string quoted(const std::string& value, const std::string& shell) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'')
      text += shell == "fish" ? "\\'" : "'\\''";
    else if (c == '\\' && shell == "fish")
      text += "\\\\";
    else if (c == '!' && shell == "csh")
      text += "\\!";
    else
      text += c;
  }
  return text + "'";
}

std::string set_line(const std::string& name, const std::string& value, const std::string& shell) {
  const std::string text = quoted(value, shell);
  if (shell == "csh") return fmt::format("setenv {} {};\n", name, text);
  if (shell == "fish") return fmt::format("set -gx {} {};\n", name, text);
  return fmt::format("export {}={}\n", name, text);
}

std::string unset_line(const std::string& name, const std::string& shell) {
  if (shell == "csh") return fmt::format("unsetenv {};\n", name);
  if (shell == "fish") return fmt::format("set -e {};\n", name);
  return fmt::format("unset {}\n", name);
}

// A Fortran program calls the driver by way of the MPI library alone: a linker that keeps only what
// is needed by the program itself, as many do by default, would leave the driver out.
std::string link_words() {
  return fmt::format(
      "-L{0} -Wl,-rpath,{0} -Wl,--push-state,--no-as-needed -lbenchfs_mpio -Wl,--pop-state",
      library_dir());
}

int show_env(const EnvOptions& options) {
  const auto library = find_mpio_library();
  if (options.link) {
    if (!library) {
      print_error("env", fmt::format("{} has no libbenchfs_mpio.so: BenchFS was built without MPI",
                                     library_dir()));
      return kFailure;
    }
    fmt::print("{}\n", link_words());
    return kOk;
  }

  std::map<std::string, std::string> set;
  std::vector<std::string> unset;
  const bool have_servers = ::getenv("BENCHFS_SERVERS") != nullptr;
  if (!options.servers.empty()) {
    set["BENCHFS_SERVERS"] = options.servers;
  } else if (options.registry.empty() && have_servers) {
    set["BENCHFS_SERVERS"] = ::getenv("BENCHFS_SERVERS");
  } else {
    const auto registry = registry_or_default(options.registry);
    if (!registry) {
      print_error("env", registry.error());
      return kFailure;
    }
    set["BENCHFS_REGISTRY"] = *registry;
    if (have_servers) unset.emplace_back("BENCHFS_SERVERS");
  }
  if (library) set["LD_PRELOAD"] = preload_value(*library);

  if (options.json) {
    std::vector<std::string> members;
    for (const auto& [name, value] : set)
      members.push_back(fmt::format("  {}: {}", json_string(name), json_string(value)));
    fmt::print("{{\n{}\n}}\n", fmt::join(members, ",\n"));
  } else {
    for (const std::string& name : unset) fmt::print("{}", unset_line(name, options.shell));
    for (const auto& [name, value] : set) fmt::print("{}", set_line(name, value, options.shell));
  }
  if (!library)
    print_note(fmt::format(
        "{} has no libbenchfs_mpio.so: MPI programs will not know benchfs: names", library_dir()));
  return kOk;
}

}  // namespace

Command make_env(CLI::App& benchfs) {
  auto options = std::make_shared<EnvOptions>();
  CLI::App* app =
      benchfs.add_subcommand("env", "Print what a job script sets for its MPI programs");
  auto* registry = app->add_option("--registry", options->registry,
                                   "Registry directory (default: that of the environment)");
  app->add_option("--servers", options->servers,
                  "host:port,... of any servers, instead of a registry")
      ->excludes(registry);
  auto* shell = app->add_option("--shell", options->shell, "Shell that reads it")
                    ->capture_default_str()
                    ->check(CLI::IsMember({"sh", "csh", "fish"}));
  app->add_flag("--json", options->json, "For programs")->excludes(shell);
  app->add_flag("--link", options->link,
                "Print the words that link a program with the driver: then it needs no LD_PRELOAD");
  app->footer("In a job script: eval \"$(benchfs env)\"");
  name_values(*app);
  return {app, false, [options](const auto&) { return show_env(*options); }};
}

}  // namespace benchfs::tools
