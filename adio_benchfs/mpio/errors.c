/*
 * errors.c - error codes with texts, and the error handlers of files.
 *
 * The MPI library below keeps the handlers: its MPI_File_set_errhandler and its relatives find the
 * field of the file where ROMIO has it. But it passes the code to a handler by value, so it cannot
 * return what a handler makes of it. MPI_File_create_errhandler is therefore taken note of here,
 * and the handler called directly.
 */
#include "errors.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>

#include "mpioimpl.h"

#include "adio_extern.h"

/* Exported by MPICH; makes a code that MPI_Error_string can explain. Without it a code is a class.
 */
int MPIR_Err_create_code(int lastcode, int fatal, const char function[], int line, int error_class,
                         const char generic[], const char specific[], ...) __attribute__((weak));

struct handler {
  MPI_Errhandler handle;
  MPI_File_errhandler_function* function;
  struct handler* next;
};

static pthread_mutex_t handlers_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct handler* handlers;

/* Calls MPIR_Err_create_code with the arguments that `specific` names: strings and ints, two at
 * most, which is all that ROMIO and the driver use. Others lose their specific text. */
static int create_code(int lastcode, int fatal, const char* function, int line, int error_class,
                       const char* generic, const char* specific, va_list arguments) {
  char kinds[3] = "";
  const char* string[2] = {NULL, NULL};
  int number[2] = {0, 0};
  int n = 0;

  for (const char* c = specific; c != NULL && *c != '\0'; c++) {
    if (*c != '%') continue;
    c++;
    if (n == 2 || (*c != 's' && *c != 'd')) {
      specific = NULL;
      break;
    }
    if (*c == 's')
      string[n] = va_arg(arguments, const char*);
    else
      number[n] = va_arg(arguments, int);
    kinds[n++] = *c;
  }
#define CREATE(...) \
  MPIR_Err_create_code(lastcode, fatal, function, line, error_class, generic, __VA_ARGS__)
  if (specific == NULL || n == 0) return CREATE(specific);
  if (strcmp(kinds, "s") == 0) return CREATE(specific, string[0]);
  if (strcmp(kinds, "d") == 0) return CREATE(specific, number[0]);
  if (strcmp(kinds, "ss") == 0) return CREATE(specific, string[0], string[1]);
  if (strcmp(kinds, "sd") == 0) return CREATE(specific, string[0], number[1]);
  if (strcmp(kinds, "ds") == 0) return CREATE(specific, number[0], string[1]);
  return CREATE(specific, number[0], number[1]);
#undef CREATE
}

int MPIO_Err_create_code(int lastcode, int fatal, const char function[], int line, int error_class,
                         const char generic[], const char specific[], ...) {
  va_list arguments;
  int code;

  if (MPIR_Err_create_code == NULL) return lastcode != MPI_SUCCESS ? lastcode : error_class;
  va_start(arguments, specific);
  code = create_code(lastcode, fatal, function, line, error_class, generic, specific, arguments);
  va_end(arguments);
  return code;
}

MPI_Errhandler mpio_default_errhandler(void) {
  MPI_Errhandler handle = MPI_ERRORS_RETURN;

  PMPI_File_get_errhandler(MPI_FILE_NULL, &handle);
  return handle;
}

int PMPI_File_create_errhandler(MPI_File_errhandler_function* function, MPI_Errhandler* handle) {
  int (*below)(MPI_File_errhandler_function*, MPI_Errhandler*);
  struct handler* entry;
  int result;

  *(void**)&below = dlsym(RTLD_NEXT, "PMPI_File_create_errhandler");
  if (below == NULL) return MPI_ERR_INTERN;
  result = below(function, handle);
  if (result != MPI_SUCCESS) return result;

  pthread_mutex_lock(&handlers_mutex);
  /* MPI uses the handle of a freed handler again. */
  for (entry = handlers; entry != NULL && entry->handle != *handle; entry = entry->next) {
  }
  if (entry == NULL) {
    entry = ADIOI_Malloc(sizeof(*entry));
    if (entry != NULL) {
      entry->handle = *handle;
      entry->next = handlers;
      handlers = entry;
    }
  }
  if (entry != NULL) entry->function = function;
  pthread_mutex_unlock(&handlers_mutex);
  return MPI_SUCCESS;
}

int MPI_File_create_errhandler(MPI_File_errhandler_function* function, MPI_Errhandler* handle)
    __attribute__((weak, alias("PMPI_File_create_errhandler")));

static MPI_File_errhandler_function* find(MPI_Errhandler handle) {
  MPI_File_errhandler_function* function = NULL;

  pthread_mutex_lock(&handlers_mutex);
  for (const struct handler* entry = handlers; entry != NULL; entry = entry->next) {
    if (entry->handle == handle) function = entry->function;
  }
  pthread_mutex_unlock(&handlers_mutex);
  return function;
}

int MPIO_Err_return_file(MPI_File file, int error_code) {
  MPI_File_errhandler_function* function;
  MPI_Errhandler handle;

  if (error_code == MPI_SUCCESS) return MPI_SUCCESS;
  if (file == MPI_FILE_NULL || file->cookie != ADIOI_FILE_COOKIE) {
    file = MPI_FILE_NULL;
    handle = mpio_default_errhandler();
    function = find(handle);
    if (function != NULL) PMPI_Errhandler_free(&handle);
  } else {
    handle = file->err_handler;
    function = find(handle);
  }
  if (function != NULL)
    (*function)(&file, &error_code);
  else
    PMPI_File_call_errhandler(file, error_code);
  return error_code;
}

int MPIO_Err_return_comm(MPI_Comm comm, int error_code) {
  PMPI_Comm_call_errhandler(comm, error_code);
  return error_code;
}
