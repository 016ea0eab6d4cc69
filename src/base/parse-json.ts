/** Reads JSON of somebody who may have sent something else, such as a proxy's page. @returns undefined for what is none */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
