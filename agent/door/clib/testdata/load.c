/* load.c - loads payagent.dll as Delphi, PowerBuilder and VB do: by the plain
 * names of payagent.def. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

typedef const char *(__stdcall *version_fn)(void);
typedef int(__stdcall *query_fn)(const char *, const char *, int, char *, int, int *);

int main(int argc, char **argv) {
	static const char *const names[] = {"payagent_call", "payagent_pay", "payagent_query", "payagent_query_bill", "payagent_cancel",
	    "payagent_refund", "payagent_book", "payagent_trade", "payagent_version"};
	HMODULE dll = argc > 1 ? LoadLibraryA(argv[1]) : NULL;
	version_fn version;
	query_fn query;
	char out[512];
	int need = 0;
	size_t i;
	if (dll == NULL) {
		printf("cannot load %s\n", argc > 1 ? argv[1] : "");
		return 1;
	}
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (GetProcAddress(dll, names[i]) == NULL) {
			printf("no %s\n", names[i]);
			return 1;
		}
	version = (version_fn)(void *)GetProcAddress(dll, "payagent_version");
	query = (query_fn)(void *)GetProcAddress(dll, "payagent_query");
	if (query("nonsense", "1", 0, out, sizeof out, &need) != 2 || need != (int)strlen(out) + 1 || query("nonsense", "1", 0, out, 1, &need) != 7) {
		printf("payagent_query does not answer as payagent.h says: %s\n", out);
		return 1;
	}
	printf("payagent.dll %s loaded, 9 functions found, called\n", version());
	return 0;
}
