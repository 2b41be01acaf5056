// Calls operations of a service as its WSDL describes them, with node-soap.
// Reads {wsdl, service, port, soap12, calls: [{method, args}]} on standard
// input and prints a list of answers: {result} or {error}.
"use strict";
const soap = require("soap");
let input = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => { input += chunk; });
process.stdin.on("end", async () => {
  const job = JSON.parse(input);
  const client = await soap.createClientAsync(job.wsdl, { forceSoap12Headers: Boolean(job.soap12), disableCache: true });
  const answers = [];
  for (const call of job.calls) {
    try {
      const [result] = await client[call.method + "Async"].call(client, call.args);
      answers.push({ result, endpoint: client.lastEndpoint });
    } catch (error) {
      answers.push({ error: String(error.message || error).slice(0, 400) });
    }
  }
  process.stdout.write(JSON.stringify({ describe: Object.keys(client.describe()[job.service] || {}), answers }));
});
